//! Measures what forwarding costs on this machine, beside the machine's own floor.
//!
//! `conclave-loadgen [--out FILE] [--rounds N] [--seconds N] [--only WORD]`

use std::process::ExitCode;
use std::time::Duration;

use conclave_loadgen::report::{json, line, Series};
use conclave_loadgen::round::{Bench, Receivers};
use conclave_loadgen::scenario::SCENARIOS;

/// What the command line says.
struct Options {
    out: Option<String>,
    rounds: usize,
    seconds: u64,
    only: String,
}

fn main() -> ExitCode {
    let result = parse(std::env::args().skip(1)).and_then(|options| run(&options));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options { out: None, rounds: 3, seconds: 2, only: String::new() };
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
        let number = || value.parse::<u64>().map_err(|_| format!("{name} needs a number"));
        match name.as_str() {
            "--out" => options.out = Some(value),
            "--rounds" => options.rounds = number()? as usize,
            "--seconds" => options.seconds = number()?,
            "--only" => options.only = value,
            _ => return Err(format!("unknown option {name}")),
        }
    }
    Ok(options)
}

fn run(options: &Options) -> Result<(), String> {
    let mut all = Vec::new();
    for scenario in SCENARIOS.into_iter().filter(|one| one.name.contains(&options.only)) {
        let failed = |error: std::io::Error| format!("{}: {error}", scenario.name);
        let mut bench = Bench::new(scenario).map_err(failed)?;
        let kinds = [Receivers::Trains, Receivers::Packets];
        let mut series = kinds.map(|receivers| Series { scenario, receivers, rounds: Vec::new() });
        // The first round of each kind warms caches and branch predictors up.
        for number in 0..=options.rounds {
            for series in &mut series {
                let time = Duration::from_secs(options.seconds);
                let outcome = bench.round(time, series.receivers).map_err(failed)?;
                if number > 0 {
                    series.rounds.push(outcome);
                }
            }
        }
        for series in series {
            println!("{}", line(&series));
            all.push(series);
        }
    }
    if let Some(path) = &options.out {
        let text = json(&all, options.seconds);
        std::fs::write(path, text).map_err(|error| format!("{path}: {error}"))?;
    }
    Ok(())
}
