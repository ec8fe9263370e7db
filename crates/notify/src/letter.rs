//! A letter as people read it, in a mail or a chat: three lines that say all, the execution to click on, and below them the
//! details for whoever wants them.

use std::fmt::{self, Display, Formatter, Write as _};

/// A letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter<'news> {
    /// What happened.
    pub happened: String,
    /// What it means for the data.
    pub data: String,
    /// What to do.
    pub to_do: String,
    /// ARN of the execution that it is about; none where there is none.
    pub execution_arn: Option<&'news str>,
    /// All else, in lines.
    pub details: Vec<String>,
}

impl Display for Letter<'_> {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let Self { happened, data, to_do, execution_arn, details } = self;
        write!(formatter, "{happened}\nData: {data}\nWhat to do: {to_do}")?;
        if let Some(arn) = execution_arn {
            let place = console_url(arn).unwrap_or_else(|| (*arn).to_owned());
            write!(formatter, "\nExecution: {place}")?;
        }
        if !details.is_empty() {
            write!(formatter, "\n\n{}", details.join("\n"))?;
        }
        Ok(())
    }
}

/// Where the console shows an execution; none in a partition whose console is not known here.
fn console_url(execution_arn: &str) -> Option<String> {
    let mut parts = execution_arn.split(':');
    let (Some("arn"), Some(partition), Some("states"), Some(region)) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return None;
    };
    let host = match partition {
        "aws" => "console.aws.amazon.com",
        "aws-cn" => "console.amazonaws.cn",
        "aws-us-gov" => "console.amazonaws-us-gov.com",
        _ => return None,
    };
    let is_name = |character: char| character.is_ascii_alphanumeric() || character == '-';
    if region.is_empty() || !region.chars().all(is_name) {
        return None;
    }
    let arn = encoded(execution_arn);
    Some(format!("https://{region}.{host}/states/home?region={region}#/v2/executions/details/{arn}"))
}

/// An ARN as a URL takes it, whatever the execution is called: a mail ends a link where a bracket or a comma comes.
fn encoded(arn: &str) -> String {
    let mut text = String::with_capacity(arn.len());
    for byte in arn.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b':' => text.push(byte.into()),
            other => {
                // Writing to a String cannot fail.
                let _ = write!(text, "%{other:02X}");
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_lines_say_all_and_the_details_come_below_the_link() {
        let letter = Letter {
            happened: "orders was rolled back.".to_owned(),
            data: "Nothing is lost.".to_owned(),
            to_do: "Nothing.".to_owned(),
            execution_arn: Some("arn:aws:states:eu-central-1:123456789012:execution:flink-deploy:release-2"),
            details: vec!["one".to_owned(), "two".to_owned()],
        };
        let expected = "orders was rolled back.\n\
            Data: Nothing is lost.\n\
            What to do: Nothing.\n\
            Execution: https://eu-central-1.console.aws.amazon.com/states/home?region=eu-central-1#/v2/executions/details/\
            arn:aws:states:eu-central-1:123456789012:execution:flink-deploy:release-2\n\
            \n\
            one\n\
            two";
        assert_eq!(letter.to_string(), expected);
        let short = Letter { execution_arn: None, details: Vec::new(), ..letter };
        assert_eq!(short.to_string(), "orders was rolled back.\nData: Nothing is lost.\nWhat to do: Nothing.");
    }

    #[test]
    fn each_partition_has_a_console_of_its_own() {
        let url = |partition: &str, region: &str, name: &str| {
            console_url(&format!("arn:{partition}:states:{region}:123456789012:execution:deploy:{name}"))
        };
        let host = |partition: &str, region: &str| {
            let url = url(partition, region, "one")?;
            url.strip_prefix("https://").and_then(|rest| rest.split('/').next()).map(str::to_owned)
        };
        assert_eq!(host("aws", "us-east-1").as_deref(), Some("us-east-1.console.aws.amazon.com"));
        assert_eq!(host("aws-cn", "cn-north-1").as_deref(), Some("cn-north-1.console.amazonaws.cn"));
        assert_eq!(host("aws-us-gov", "us-gov-west-1").as_deref(), Some("us-gov-west-1.console.amazonaws-us-gov.com"));
        for (partition, region) in [("aws-iso", "us-iso-east-1"), ("aws", ""), ("aws", "evil.example/?")] {
            assert_eq!(url(partition, region, "one"), None, "{partition} {region}");
        }
        assert_eq!(console_url("release-2"), None);
        let named = url("aws", "us-east-1", "(ü, 2)").unwrap();
        assert!(named.ends_with(":execution:deploy:%28%C3%BC%2C%202%29"), "{named}");
    }
}
