//! Writes the files of the tests into a folder, for tools of others: `cargo run --example media -- FOLDER`.

#[path = "../tests/media/mod.rs"]
mod media;

fn main() -> std::io::Result<()> {
    let folder = std::path::PathBuf::from(std::env::args_os().nth(1).unwrap_or_else(|| ".".into()));
    std::fs::create_dir_all(&folder)?;
    for (ending, bytes) in media::all() {
        std::fs::write(folder.join(format!("media.{ending}")), bytes)?;
    }
    Ok(())
}
