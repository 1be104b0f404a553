//! docs/command.md and the command say the same.

use std::{collections::BTreeSet, iter};

use clap::{Command, CommandFactory as _};

use super::Cli;
use crate::exit::Exit;

const DOCS: &str = include_str!("../../../../docs/command.md");

fn command() -> Command {
    let mut command = Cli::command();
    command.build();
    command
}

/// Commands, and those within them.
fn with_subcommands<'a>(commands: impl IntoIterator<Item = &'a Command>) -> Vec<&'a Command> {
    commands.into_iter().flat_map(|it| iter::once(it).chain(it.get_subcommands())).collect()
}

/// What stands between backquotes.
fn quoted() -> impl Iterator<Item = &'static str> {
    let blocks = || DOCS.split("```");
    let commands = blocks().skip(1).step_by(2).flat_map(str::lines);
    let inline = blocks().step_by(2).flat_map(|text| text.split('`').skip(1).step_by(2));
    inline.chain(commands.filter_map(|line| line.strip_prefix("$ ")))
}

/// The options that a text names, with their dashes.
fn options(text: &str) -> impl Iterator<Item = &str> {
    text.split([' ', '=']).filter(|word| word.starts_with('-') && word.len() > 1)
}

/// The first cells of the rows of the table under a heading that begin with `begin`.
fn rows(heading: &str, begin: &'static str) -> Vec<Vec<&'static str>> {
    let (_, section) = DOCS.split_once(heading).expect("the heading is there");
    let section = section.split("\n## ").next().unwrap_or_default();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| "));
    let cells = rows.map(|row| row.trim_end_matches(" |").split(" | ").collect::<Vec<_>>());
    cells.filter(|cells| cells[0].starts_with(begin)).collect()
}

#[test]
fn every_command_is_documented_and_every_documented_one_is_there() {
    let there: BTreeSet<String> =
        command().get_subcommands().map(|it| it.get_name().to_owned()).collect();
    let documented: BTreeSet<String> = rows("# The command", "`")
        .iter()
        .flat_map(|cells| cells[0].split(", "))
        .map(|name| name.trim_matches('`').to_owned())
        .chain(["help".to_owned()])
        .collect();
    assert_eq!(documented, there);
}

#[test]
fn every_option_that_is_named_exists_in_the_command_it_is_named_with() {
    let command = command();
    let has = |command: &Command, option: &str| {
        command.get_arguments().any(|argument| {
            let long = argument.get_long().map(|name| format!("--{name}"));
            let short = argument.get_short().map(|name| format!("-{name}"));
            [long, short].into_iter().flatten().any(|name| name == option)
        })
    };
    let mut found = 0;
    for text in quoted() {
        let first = text.split(' ').find(|word| *word != "windlass").unwrap_or_default();
        let commands: Vec<&Command> = match command.find_subcommand(first) {
            Some(named) => with_subcommands([named]),
            None => with_subcommands(command.get_subcommands()),
        };
        for option in options(text) {
            found += 1;
            assert!(commands.iter().any(|it| has(it, option)), "{option} in `{text}`");
        }
    }
    assert!(found > 10, "the page names options");
}

#[test]
fn every_variable_of_an_option_is_documented_with_it_and_every_documented_one_is_there() {
    let command = command();
    let there: BTreeSet<(String, String)> = command
        .get_subcommands()
        .flat_map(|it| with_subcommands([it]))
        .flat_map(Command::get_arguments)
        .filter_map(|argument| {
            let variable = argument.get_env()?.to_str()?.to_owned();
            Some((format!("--{}", argument.get_long()?), variable))
        })
        .collect();
    let documented: BTreeSet<_> = rows("## Which server", "`")
        .into_iter()
        .map(|cells| {
            let plain = |cell: &str| cell.trim_matches('`').to_owned();
            (plain(cells[0]), plain(cells[1]))
        })
        .collect();
    assert_eq!(documented, there);
}

#[test]
fn exit_codes_are_those_of_the_command() {
    let documented: Vec<(&str, &str)> = rows("## Exit codes", "")
        .into_iter()
        .filter(|cells| cells[0].parse::<u8>().is_ok())
        .map(|cells| (cells[0], cells[1]))
        .collect();
    assert_eq!(documented.len(), Exit::ALL.len(), "{documented:?}");
    for (exit, (code, meaning)) in Exit::ALL.into_iter().zip(documented) {
        assert_eq!(code, (exit as u8).to_string());
        let meaning = meaning.to_lowercase();
        assert!(meaning.starts_with(&exit.meaning().to_lowercase()), "{code}: {meaning}");
    }
}
