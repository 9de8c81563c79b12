import { operations, pagesOf } from '@trialkeep/sdk/client';
import type { Output, Operations } from '@trialkeep/sdk/client';
import type { Command } from 'commander';
import { CliError } from '../errors.ts';
import { ask } from '../input.ts';
import { readStdin, textOf } from '../io.ts';
import type { Io } from '../io.ts';
import { isoTime, print, table } from '../output.ts';
import { printPartial } from '../pending.ts';
import { connect, readReason } from '../session.ts';
import type { SessionOptions } from '../session.ts';
import { addServerVerb, reasonOption } from '../verb.ts';

type Subject = Output<Operations['subjects.create']>;

interface StudyOptions extends SessionOptions {
  readonly study: string;
}

interface EraseOptions extends StudyOptions {
  readonly reason: string;
}

/** Longest list of numbers that is read, bytes. */
const maxListBytes = 16 * 1024 * 1024;
const { pattern, maxLength } = operations['subjects.create'].input.properties.number as unknown as {
  pattern: string;
  maxLength: number;
};
const numberPattern = new RegExp(pattern, 'u');

export function register(program: Command, io: Io): void {
  const subject = program.command('subject').description('subjects of a study, by alias; erase them');
  registerCreate(subject, io);
  registerList(subject, io);

  addServerVerb(subject, 'erase <alias>', operations['subjects.erase'].summary)
    .requiredOption('--study <id>', 'the study that they take part in')
    .addOption(reasonOption(true))
    .action(async (alias: string, options: EraseOptions) => {
      const { client } = await connect(io, options);
      const reason = await readReason(io, options.reason);
      const erased = await client.call('subjects.erase', { study: options.study, alias, reason });
      await print(io, options, erased, () => `Subject ${erased.alias} is ${erased.state}.`);
    });
}

function registerCreate(subject: Command, io: Io): void {
  addServerVerb(subject, 'create', operations['subjects.create'].summary)
    .requiredOption('--study <id>', 'the study that they take part in')
    .addHelpText(
      'after',
      "\nThe sites' subject numbers are read from standard input, one a line, never from the command line, where\n" +
        'others could see them. Aliases are printed in the order of the lines.',
    )
    .action(async (options: StudyOptions) => {
      const { client } = await connect(io, options);
      const numbers = await readNumbers(io);
      const subjects: Subject[] = [];
      let failure: Error | undefined;
      try {
        for (const number of numbers) {
          subjects.push(await client.call('subjects.create', { study: options.study, number }));
        }
      } catch (error) {
        failure = error as Error;
      }
      // The aliases of those that were made are printed even if a later one failed: nobody could match them otherwise.
      const text = () =>
        table(
          ['line', 'alias'],
          subjects.map(({ alias }, index) => [index + 1, alias]),
        );
      if (failure === undefined) return print(io, options, { subjects }, text);
      if (subjects.length === 0) throw failure;
      return printPartial(io, options, { subjects }, text, failure);
    });
}

function registerList(subject: Command, io: Io): void {
  addServerVerb(subject, 'list', operations['subjects.list'].summary)
    .requiredOption('--study <id>', 'the study that they take part in')
    .action(async (options: StudyOptions) => {
      const { client } = await connect(io, options);
      const subjects: Subject[] = [];
      const { study } = options;
      for await (const page of pagesOf((at) => client.call('subjects.list', { study, ...at }))) {
        subjects.push(...page.subjects);
      }
      await print(io, options, { subjects }, () =>
        table(
          ['alias', 'state', 'registered'],
          subjects.map(({ alias, state, createdAt }) => [alias, state, isoTime(createdAt)]),
        ),
      );
    });
}

/** The numbers, all checked before the first is sent. Errors name the line, never what stands there. */
async function readNumbers(io: Io): Promise<string[]> {
  const text =
    io.stdin.isTTY === true ? await ask(io, 'Subject number: ') : textOf(await readStdin(io, maxListBytes));
  const numbers = text.split(/\r?\n/);
  if (numbers.at(-1) === '') numbers.pop();
  if (numbers.length === 0) throw new CliError('cli.input_empty');
  const bad = numbers.findIndex((number) => number.length > maxLength || !numberPattern.test(number));
  if (bad >= 0) {
    const detail = `line ${bad + 1} is empty, over-long, or has a control character`;
    throw new CliError('cli.input_invalid', {
      detail,
      fix: 'Write one subject number of 1 to 64 characters a line.',
    });
  }
  return numbers;
}
