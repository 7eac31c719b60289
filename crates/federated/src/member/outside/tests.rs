use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    sync::{Arc, Mutex},
};

use counterweight_primitives::{MemberIndex, Round, StudyId};
use zeroize::Zeroizing;

use super::*;
use crate::{
    architecture::Architecture,
    parameters::Parameters,
    study::{
        StudyConfig,
        terms::{CommittedFiles, PublicTerms},
    },
    training::ShuffleSeed,
};

const STUDY: &str = r#"
[study]
name = "outside"
purpose = "research"
[model]
name = "line"
architecture = "logistic"
[training]
rounds = 2
local-steps = 3
lr = 0.1
[data]
columns = ["a", "b"]
label = "yes"
"#;

/// What a shell needs to answer: where the model is, where it goes, and its echo.
const COPY: &str = r#"
answer() {
  line=$1
  from=$(printf '%s' "$line" | sed 's/.*"parameters":"\([^"]*\)".*/\1/')
  to=$(printf '%s' "$line" | sed 's/.*"result":"\([^"]*\)".*/\1/')
  case $line in
    *'"task":"train"'*) cp "$from" "$to"; echo '{"contract":"counterweight/trainer/v1","examples":7,"metrics":{"loss":0.5}}';;
    *) echo '{"contract":"counterweight/trainer/v1","examples":3,"loss":0.25}';;
  esac
}
"#;

struct World {
    folder: tempfile::TempDir,
    terms: PublicTerms,
    base: Parameters,
    heard: Arc<Mutex<Vec<String>>>,
}

impl World {
    fn new() -> Self {
        let study: StudyConfig = toml::from_str(STUDY).unwrap();
        Self {
            folder: tempfile::tempdir().unwrap(),
            terms: study.public_terms(CommittedFiles::default()),
            base: Parameters::initial(&Architecture::logistic(2), 1),
            heard: Arc::default(),
        }
    }

    fn trainer(&self, trainer: &str) -> Result<Outside, TrainerError> {
        let heard = Arc::clone(&self.heard);
        Outside::new(OutsideSetup {
            trainer: trainer.to_owned(),
            folder: self.folder.path().to_owned(),
            work: self.folder.path().join("work"),
            data: self.folder.path().join("data.csv"),
            timeout: Some(Duration::from_secs(20)),
            listener: Box::new(move |line| heard.lock().unwrap().push(line.to_owned())),
        })
    }

    /// A shell program in a file of its own.
    fn shell(&self, script: &str) -> Outside {
        let path = self.folder.path().join("trainer.sh");
        fs::write(&path, format!("{COPY}{script}\n")).unwrap();
        self.trainer("sh trainer.sh").unwrap()
    }

    fn task<'a>(&'a self, round: u32, noise: &'a Zeroizing<[u8; 32]>) -> TrainingTask<'a> {
        TrainingTask {
            study: StudyId(1),
            round: Round(round),
            member: MemberIndex(0),
            terms: &self.terms,
            base: &self.base,
            seed: ShuffleSeed([7; 32]),
            time_left: Duration::from_secs(60),
            noise,
        }
    }

    fn train(&self, trainer: &Outside, round: u32) -> Result<Trained, String> {
        trainer
            .train(&self.task(round, &Zeroizing::default()))
            .map_err(|error| error.to_string())
    }
}

fn refused(script: &str, wanted: &str) {
    let world = World::new();
    let error = world.train(&world.shell(script), 1).unwrap_err();
    assert!(error.contains(wanted), "{error}");
    assert!(error.starts_with("the trainer `sh trainer.sh` "), "{error}");
}

#[test]
fn a_program_may_stay_for_the_next_request_or_end_after_each() {
    for script in [
        r#"while read -r line; do answer "$line"; done"#,
        r#"read -r line; answer "$line""#,
    ] {
        let world = World::new();
        let trainer = world.shell(script);
        for round in [1, 2] {
            let trained = world.train(&trainer, round).unwrap();
            assert_eq!((&trained.parameters, trained.examples), (&world.base, 7));
            assert_eq!(trained.metrics["loss"], 0.5);
            let noise = Zeroizing::default();
            let judged = trainer.evaluate(&world.task(round, &noise)).unwrap().unwrap();
            assert_eq!((judged.loss, judged.examples), (0.25, 3));
        }
    }
}

#[test]
fn what_was_made_for_a_round_is_made_once() {
    let world = World::new();
    let script = r#"read -r line; echo x >> runs; answer "$line""#;
    let first = world.train(&world.shell(script), 1).unwrap();
    // As after a restart of the member.
    assert_eq!(world.train(&world.shell(script), 1).unwrap(), first);
    world.train(&world.shell(script), 2).unwrap();
    let runs = fs::read_to_string(world.folder.path().join("runs")).unwrap();
    assert_eq!(runs.lines().count(), 2);
}

#[test]
fn stderr_is_passed_on_and_told_where_a_program_crashes() {
    let world = World::new();
    let trainer = world.shell("read -r line; echo 'no such column: age' >&2; exit 3");
    let error = world.train(&trainer, 1).unwrap_err();
    assert!(
        error.contains("gave no answer: it ended (exit status: 3)"),
        "{error}"
    );
    assert!(error.contains("no such column: age"), "{error}");
    assert_eq!(*world.heard.lock().unwrap(), ["no such column: age"]);
    // It is started again, and fails again, rather than being given up for the rest of the study.
    assert_eq!(world.train(&trainer, 1).unwrap_err(), error);
}

#[test]
fn a_program_that_hangs_is_killed_in_time() {
    let world = World::new();
    let trainer = Outside::new(OutsideSetup {
        trainer: "sleep 1000".to_owned(),
        folder: world.folder.path().to_owned(),
        work: world.folder.path().join("work"),
        data: PathBuf::from("data.csv"),
        timeout: Some(Duration::ZERO),
        listener: Box::new(|_| ()),
    })
    .unwrap();
    let error = world.train(&trainer, 1).unwrap_err();
    assert!(error.contains("gave no answer in 1 s: it was killed"), "{error}");
}

#[test]
fn answers_that_cannot_be_used_are_named() {
    refused(
        "read -r line; echo epoch 1 loss 0.3",
        "answered \"epoch 1 loss 0.3\", which is no answer",
    );
    refused("read -r line; echo '[]'", "which is no answer");
    refused("echo hello; read -r line; sleep 5", "answered \"hello\"");
    refused(
        "read -r line; head -c 100000 /dev/zero | tr '\\0' x",
        "more than 65536 bytes",
    );
    refused(
        r#"read -r line; echo '{"contract":"counterweight/trainer/v2","examples":1}'"#,
        "by the contract \"counterweight/trainer/v2\"",
    );
    refused(
        r#"read -r line; echo '{"contract":"counterweight/trainer/v1","rows":1}'"#,
        "unknown field `rows`",
    );
    refused(
        r#"read -r line; echo '{"contract":"counterweight/trainer/v1","error":"out of memory"}'"#,
        "says: out of memory",
    );
    refused(
        r#"read -r line; echo '{"contract":"counterweight/trainer/v1","examples":1}'"#,
        "gave a model that cannot be used",
    );
    let model = |change: &str, wanted: &str| {
        let script = format!(
            r#"read -r line; answer "$line" > said; {change}; sed 's/"examples":7/"examples":9/' said"#
        );
        refused(&script, wanted);
    };
    model(r#"printf 12345678 > "$to""#, "longer than 512 KiB");
    model(
        r#"sed -i 's/layers.0.bias/layers.0.Bias/' "$to""#,
        "no tensor \"layers.0.bias\"",
    );
    model(
        r#"sed -i 's/"shape":\[1,2\]/"shape":[2,1]/' "$to""#,
        "has the shape [2, 1], the model's has [1, 2]",
    );
    model("sed -i 's/:7,/:0,/' said", "trained on 0 examples");
}

#[test]
fn a_program_that_is_not_there_is_named() {
    let world = World::new();
    let trainer = world.trainer("./no-such-program --fast").unwrap();
    let error = world.train(&trainer, 1).unwrap_err();
    assert!(
        error.starts_with("the trainer `./no-such-program --fast` cannot be started"),
        "{error}"
    );
    for wrong in ["", "'python3", "https://elsewhere.example/train"] {
        assert!(
            matches!(world.trainer(wrong), Err(TrainerError::Unfit { .. })),
            "{wrong}"
        );
    }
}

#[test]
fn rows_that_are_promised_privacy_are_for_the_built_in_training_only() {
    let mut world = World::new();
    let with = STUDY.replace(
        "local-steps = 3",
        "local-steps = 3\nprivacy = { epsilon = 2.0, delta = 0.00001, row-clip = 1.0, sample = 0.1 }",
    );
    let study: StudyConfig = toml::from_str(&with).unwrap();
    world.terms = study.public_terms(CommittedFiles::default());
    let error = world.shell("").check(&world.terms).unwrap_err();
    assert!(error.to_string().contains("promises privacy of rows"), "{error}");
}

/// Answers one request with what `answer` makes of its body.
fn serve(answer: impl Fn(&[u8]) -> (u16, Vec<u8>) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut bytes = Vec::new();
            let mut chunk = [0; 4096];
            let (head, length) = loop {
                let count = stream.read(&mut chunk).unwrap();
                bytes.extend_from_slice(&chunk[..count]);
                let Some(head) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
                    continue;
                };
                let text = String::from_utf8_lossy(&bytes[..head]).to_lowercase();
                let length = text.split("content-length: ").nth(1).unwrap();
                break (head + 4, length.lines().next().unwrap().parse::<usize>().unwrap());
            };
            while bytes.len() < head + length {
                let count = stream.read(&mut chunk).unwrap();
                bytes.extend_from_slice(&chunk[..count]);
            }
            let (status, body) = answer(&bytes[head..]);
            let head = format!(
                "HTTP/1.1 {status} x\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                body.len()
            );
            stream.write_all(head.as_bytes()).unwrap();
            stream.write_all(&body).unwrap();
        }
    });
    format!("http://{address}/trainer")
}

#[test]
fn a_server_gets_the_model_behind_the_line_and_answers_alike() {
    let world = World::new();
    let url = serve(|body| {
        let end = body.iter().position(|byte| *byte == b'\n').unwrap();
        let line: serde_json::Value = serde_json::from_slice(&body[..end]).unwrap();
        assert_eq!(line["contract"], CONTRACT);
        assert!(line.get("parameters").is_none());
        let mut answer = br#"{"contract":"counterweight/trainer/v1","examples":5}"#.to_vec();
        answer.push(b'\n');
        answer.extend_from_slice(&body[end + 1..]);
        (200, answer)
    });
    let trained = world.train(&world.trainer(&url).unwrap(), 1).unwrap();
    assert_eq!((trained.parameters, trained.examples), (world.base, 5));
}

#[test]
fn a_server_that_fails_is_quoted_and_one_that_is_gone_is_named() {
    let world = World::new();
    let url = serve(|_| (500, b"cannot read model.rds\nat line 3".to_vec()));
    let error = world.train(&world.trainer(&url).unwrap(), 1).unwrap_err();
    assert!(
        error.contains("answered 500") && error.contains("cannot read model.rds"),
        "{error}"
    );
    let url = serve(|_| (302, Vec::new()));
    let error = world.train(&world.trainer(&url).unwrap(), 1).unwrap_err();
    assert!(error.contains("answered 302"), "{error}");
    let error = world
        .train(&world.trainer("http://127.0.0.1:9/").unwrap(), 1)
        .unwrap_err();
    assert!(error.contains("does not answer"), "{error}");
}
