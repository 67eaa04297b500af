use std::io::Write as _;

use serde_json::Value;

/// Prints a line of JSON
pub fn say(message: Value) {
    let mut stdout = std::io::stdout().lock();

    if writeln!(stdout, "{message}")
        .and_then(|()| stdout.flush())
        .is_err()
    {
        std::process::exit(1);
    }
}
