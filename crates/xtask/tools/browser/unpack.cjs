"use strict";
// Unpacks the browser, the libraries that it needs beside glibc, and its fonts, from the package that carries them, into
// the working directory; then removes the package.
const fs = require("node:fs");
const path = require("node:path");
const { pipeline } = require("node:stream/promises");
const { createBrotliDecompress } = require("node:zlib");
const { extract } = require("tar-fs");

const carried = path.join("node_modules", "@sparticuz", "chromium");
const unpack = (name, to) =>
  pipeline(fs.createReadStream(path.join(carried, "bin", `${name}.br`)), createBrotliDecompress(), to);

(async () => {
  await unpack("chromium", fs.createWriteStream("chromium", { mode: 0o755 }));
  await unpack("al2023.tar", extract("libraries"));
  await unpack("fonts.tar", extract("fonts"));
  fs.rmSync(carried, { recursive: true });
})().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
