//! Every error code, with the page that explains it.
//!
//! Codes are never reused. Thousands say where: 1 project and configuration, 2 provenance, 3 training, 4 inference and
//! proofs, 5 chain and
//! contracts, 9 faults of our own.

use std::{fmt, str::FromStr};

use super::Status;

macro_rules! catalogue {
    ($($name:ident = $code:literal, $status:ident;)*) => {
        /// An error code.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum Code {
            $(#[doc = $code] $name,)*
        }

        impl Code {
            /// All of them, in ascending order.
            pub(crate) const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// As it is written.
            pub(crate) fn as_str(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// The exit status it stands for.
            pub(crate) fn status(self) -> Status {
                match self { $(Self::$name => Status::$status,)* }
            }

            /// Its page, the one the book shows too.
            pub(crate) fn page(self) -> &'static str {
                match self {
                    $(Self::$name => include_str!(concat!("../../../../docs/reference/errors/", $code, ".md")),)*
                }
            }
        }
    };
}

catalogue! {
    NoProject = "CW1001", Unusable;
    UnknownKey = "CW1002", Unusable;
    TomlSyntax = "CW1003", Unusable;
    BadValue = "CW1004", Unusable;
    Usage = "CW1005", Unusable;
    UnknownName = "CW1006", Unusable;
    Ambiguous = "CW1007", Unusable;
    AnswerNeeded = "CW1008", Unusable;
    SecretPasted = "CW1009", Unusable;
    AlreadyThere = "CW1010", Unusable;
    KeyLocked = "CW1011", Unusable;
    FileUnreadable = "CW1012", Missing;
    ProjectBusy = "CW1013", Missing;
    VariableMissing = "CW1014", Unusable;
    NothingYet = "CW1015", Unusable;
    ContentDiffers = "CW2101", No;
    ManifestDiffers = "CW2102", No;
    UpdateDiffers = "CW2103", No;
    ResultDiffers = "CW2104", No;
    LineageDiffers = "CW2105", No;
    PaymentDiffers = "CW2106", No;
    ConsentBroken = "CW2107", No;
    LogDiffers = "CW2108", No;
    BytesMissing = "CW2109", Missing;
    CheckUnknown = "CW2110", No;
    Cosignature = "CW2111", Missing;
    ColumnMissing = "CW3001", Unusable;
    WrongType = "CW3002", Unusable;
    EmptyData = "CW3003", Unusable;
    NotFinite = "CW3004", Unusable;
    DataUnusable = "CW3005", Unusable;
    WrongShape = "CW3006", Refused;
    BeyondClip = "CW3007", Refused;
    SignatureWrong = "CW3008", Refused;
    Replayed = "CW3009", Refused;
    TooLate = "CW3010", Refused;
    TooFewMembers = "CW3011", Refused;
    CoordinatorSilent = "CW3012", Missing;
    RunDiffers = "CW3013", Unusable;
    MaskingDiffers = "CW3101", No;
    MaskingRefused = "CW3102", Refused;
    TrainerUnfit = "CW3201", Unusable;
    TrainerFailed = "CW3202", Missing;
    PrivacySpent = "CW3301", Refused;
    StandingDiffers = "CW3401", No;
    NothingToAppeal = "CW3402", Refused;
    ArbiterMissing = "CW3403", Unusable;
    BondHeld = "CW3501", Missing;
    BondLost = "CW3502", Refused;
    BlockNotShown = "CW3503", Missing;
    NoBond = "CW3504", Unusable;
    NetworkUnusable = "CW4001", Unusable;
    InputUnfit = "CW4002", Unusable;
    ProofRefused = "CW4101", No;
    OtherModel = "CW4102", No;
    OtherSetup = "CW4103", Unusable;
    ProofUnreadable = "CW4104", Unusable;
    ClaimHolds = "CW4201", Refused;
    NetworkMissing = "CW4202", Unusable;
    InputMissing = "CW4203", Unusable;
    NoMove = "CW4204", Refused;
    ProofMissing = "CW4205", Unusable;
    NoConsent = "CW5001", Refused;
    ContractRefuses = "CW5002", Refused;
    WrongChain = "CW5003", Unusable;
    ChainSilent = "CW5004", Missing;
    NotDeployed = "CW5005", Unusable;
    TransactionRejected = "CW5006", Refused;
    NotConfirmed = "CW5007", Missing;
    ChainDamaged = "CW5008", Unusable;
    NothingToClaim = "CW5009", Refused;
    DevelopmentKey = "CW5010", Refused;
    PortTaken = "CW5011", Missing;
    DecisionUnfit = "CW5201", Unusable;
    Erased = "CW5202", Refused;
    DisclosureRefused = "CW5203", No;
    RecordsDamaged = "CW5204", Unusable;
    NoDecision = "CW5205", Unusable;
    SignatureRefused = "CW5301", No;
    SigningKeyUnusable = "CW5302", Unusable;
    SignatureUnreadable = "CW5303", Unusable;
    ModelUnsignable = "CW5304", Unusable;
    ModelUnreadable = "CW5305", Unusable;
    BundleDiffers = "CW5401", No;
    EvidenceDiffers = "CW5402", No;
    OtherBlock = "CW5403", No;
    OtherOwner = "CW5404", No;
    HelperMissing = "CW5405", Missing;
    MediaUnsignable = "CW5406", Unusable;
    MarkRefused = "CW5407", No;
    Fault = "CW9001", Fault;
}

impl Code {
    /// What its page is called.
    pub(crate) fn title(self) -> &'static str {
        let line = self.page().lines().next().unwrap_or_default();
        line.split_once(": ").map_or(line, |(_, title)| title)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Code {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.to_ascii_uppercase();
        let text = text.strip_prefix("CW").unwrap_or(&text);
        Self::ALL
            .iter()
            .copied()
            .find(|code| &code.as_str()[2..] == text)
            .ok_or(())
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use super::*;

    #[test]
    fn every_page_names_its_code_its_title_and_its_exit_status() {
        for code in Code::ALL {
            let page = code.page();
            assert!(
                page.starts_with(&format!("# {code}: ")),
                "{code}: the page starts with its code and title"
            );
            assert!(!code.title().is_empty(), "{code}");
            let status = format!("Exit status {}.", code.status().number());
            assert!(page.contains(&status), "{code}: the page says \"{status}\"");
            assert!(
                page.contains("\n## What to do\n"),
                "{code}: the page says what to do"
            );
        }
    }

    #[test]
    fn every_page_has_its_code() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/errors");
        let pages: BTreeSet<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != "README.md")
            .collect();
        let codes: BTreeSet<String> = Code::ALL.iter().map(|code| format!("{code}.md")).collect();
        assert_eq!(pages, codes);
    }

    #[test]
    fn codes_ascend_and_are_read_in_any_case() {
        assert!(Code::ALL.is_sorted_by(|a, b| a.as_str() < b.as_str()));
        for code in Code::ALL {
            assert_eq!(code.as_str().to_lowercase().parse(), Ok(*code));
            assert_eq!(code.as_str()[2..].parse(), Ok(*code));
        }
    }
}
