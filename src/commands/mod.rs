//! The commands, one a file: the only code that knows all stages of the data's path.

mod answer_sets;
mod bench;
mod bless;
mod calibrate;
mod chat;
mod circumstances;
mod compare;
mod data;
mod doctor;
mod eval;
mod export;
mod fetch;
mod fetched;
mod gate;
mod import;
mod model;
mod pack;
mod recover;
mod report;
mod rows;
mod run;
mod served;
mod session;
mod suite;
mod table;
mod taught;

use std::io::Write;

use anyhow::{Context, Result, ensure};

use crate::cli::{AskingArgs, Cli, Command, DataCommand, SuiteCommand};
use crate::eval::mapping::Reference;
use crate::shown::visible;

/// Runs the command that was asked for.
pub fn dispatch(cli: Cli) -> Result<()> {
    match cli.command {
        Command::Run(args) => run::run(&args),
        Command::Report(args) => report::report(&args),
        Command::Eval(args) => eval::eval(&args),
        Command::Compare(args) => compare::compare(&args),
        Command::Bless(args) => bless::bless(&args),
        Command::Gate(args) => gate::gate(&args),
        Command::Recover(args) => recover::recover(&args),
        Command::Calibrate(args) => calibrate::calibrate(&args),
        Command::Chat(args) => chat::chat(&args),
        Command::Export(args) => export::export(&args),
        Command::Pack(args) => pack::pack(&args),
        Command::Unpack(args) => pack::unpack(&args),
        Command::Fetch(args) => fetch::fetch(&args),
        Command::Doctor(args) => doctor::doctor(&args),
        Command::Bench(args) => bench::bench(&args),
        Command::Import(args) => import::import(&args),
        Command::Data(DataCommand::Check(args)) => data::check(&args),
        Command::Data(DataCommand::Build(args)) => data::build(&args),
        Command::Table(args) => table::table(&args),
        Command::Suite(SuiteCommand::Show(args)) => suite::show(&args),
        Command::Suite(SuiteCommand::Check(args)) => suite::check(&args),
        Command::Suite(SuiteCommand::Floor(args)) => suite::floor(&args),
    }
}

/// Suites as they are to be asked: all that are named, so that an option never holds for some of them unseen.
fn asked(suites: &[String], asking: AskingArgs) -> Result<Vec<String>> {
    ensure!(!suites.is_empty() || (asking.shots, asking.form) == (None, None), "name the suite that --shots and --form are for");
    suites.iter().map(|name| Reference::asked(name, asking.shots, asking.form)).collect()
}

/// Writes a result to stdout, control characters of whoever wrote it made visible.
fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(visible(text).as_bytes()).and_then(|()| out.flush()).context("failed to write the result to standard output")
}
