//! What the commands print about problems, and how they end.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use crate::problem::Problems;

/// The exit status where there are problems in what was given; wrong usage has 2.
pub const PROBLEMS: u8 = 1;

/// Goes on with what was loaded and the warnings about it, or prints the problems.
pub fn or_exit<T>(
    loaded: Result<(T, Problems), Problems>,
    go_on: impl FnOnce(T, Problems) -> ExitCode,
) -> ExitCode {
    match loaded {
        Ok((value, warnings)) => go_on(value, warnings),
        Err(problems) => failed(&problems),
    }
}

/// Prints the problems and how many there are.
#[must_use]
pub fn failed(problems: &Problems) -> ExitCode {
    print(problems);
    say(count(problems));
    ExitCode::from(PROBLEMS)
}

/// Whether standard error is a terminal whose user has nothing against colours (no-color.org).
#[must_use]
pub fn colours() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// As [`colours`], of standard output.
#[must_use]
pub fn stdout_colours() -> bool {
    io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Prints the problems to standard error, coloured for a terminal.
pub fn print(problems: &Problems) {
    let colours = colours();
    let mut stderr = io::stderr().lock();
    for problem in problems {
        let _ = writeln!(stderr, "{}\n", problem.render(colours));
    }
}

/// Prints one line to standard error.
pub fn say(line: impl Display) {
    // Where standard error is closed there is no one left to tell.
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// As in `3 errors, 1 warning`.
#[must_use]
pub fn count(problems: &Problems) -> String {
    match (problems.errors(), problems.warnings()) {
        (errors, 0) => number(errors, "error"),
        (0, warnings) => number(warnings, "warning"),
        (errors, warnings) => format!("{}, {}", number(errors, "error"), number(warnings, "warning")),
    }
}

/// As in `1 error` and `2 errors`.
#[must_use]
pub fn number(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

/// Prints a result to standard output. A reader that has gone, as `head` does, had enough, which is no failure.
#[must_use]
pub fn output(text: impl Display) -> ExitCode {
    let mut stdout = io::stdout().lock();
    match write!(stdout, "{text}").and_then(|()| stdout.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            say(format_args!("error: the output can't be written: {error}"));
            ExitCode::from(PROBLEMS)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::Problem;

    #[test]
    fn counts() {
        for (errors, warnings, want) in [
            (0, 0, "0 errors"),
            (1, 0, "1 error"),
            (0, 1, "1 warning"),
            (3, 1, "3 errors, 1 warning"),
            (1, 2, "1 error, 2 warnings"),
        ] {
            let mut problems = Problems::new();
            (0..errors).for_each(|_| problems.push(Problem::error("bad")));
            (0..warnings).for_each(|_| problems.push(Problem::warning("odd")));
            assert_eq!(count(&problems), want);
        }
    }
}
