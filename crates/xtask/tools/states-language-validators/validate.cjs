"use strict";
// Validates state machine definitions with one of the validators, so that one start of node serves all files.
// Arguments: the name of the validator, then the files. Prints one line for each complaint.
// Exit code: 0 all accepted, 1 one or more refused, 2 the validator itself failed.
const fs = require("node:fs");

const validators = {
  "asl-validator": async (text) => {
    const validate = require("asl-validator");
    const result = (validate.default ?? validate)(JSON.parse(text), { checkArn: true, checkPaths: true });
    return result.isValid ? [] : result.errors.map((error) => JSON.stringify(error));
  },
  "amazon-states-language-service": async (text, file) => {
    const { getLanguageService, TextDocument } = require("amazon-states-language-service");
    const service = getLanguageService({});
    const document = TextDocument.create(file, "json", 1, text);
    const diagnostics = await service.doValidation(document, service.parseJSONDocument(document));
    return diagnostics.map(({ message, range }) => `${range.start.line + 1}: ${message}`);
  },
};

const [name, ...files] = process.argv.slice(2);
(async () => {
  let refused = false;
  for (const file of files) {
    for (const complaint of await validators[name](fs.readFileSync(file, "utf8"), file)) {
      refused = true;
      console.log(`${file}: ${complaint}`);
    }
  }
  process.exitCode = refused ? 1 : 0;
})().catch((error) => {
  console.error(error);
  process.exitCode = 2;
});
