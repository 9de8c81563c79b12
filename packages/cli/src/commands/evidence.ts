import { operations, pagesOf } from '@trialkeep/sdk/client';
import type { Caller, Operations, Output } from '@trialkeep/sdk/client';
import { evidencePage } from '@trialkeep/sdk/evidence';
import type { Command } from 'commander';
import { addConditions, periodOption, questionOf } from '../conditions.ts';
import type { ConditionOptions } from '../conditions.ts';
import { writeResult } from '../input.ts';
import type { Io } from '../io.ts';
import { isoTime, print, say, table } from '../output.ts';
import type { OutputOptions } from '../output.ts';
import { connect } from '../session.ts';
import type { SessionOptions } from '../session.ts';
import { addServerVerb, addVerb, parseTime } from '../verb.ts';

interface OutOptions {
  readonly out: string;
  readonly overwrite?: true;
}

interface MakeOptions extends SessionOptions, OutOptions {
  readonly title?: string;
}

interface ErasureOptions extends MakeOptions {
  readonly study: string;
  readonly subject?: string;
}

export function register(program: Command, io: Io): void {
  const evidence = program
    .command('evidence')
    .description('documents for an inspector: make, fetch, list; each verifies without the server');
  registerMaking(evidence, io);
  registerDestruction(evidence, io);
  registerExit(evidence, io);
  registerReview(evidence, io);
  registerInventory(evidence, io);
  registerDrill(evidence, io);
  registerCeremony(evidence, io);
  registerKept(evidence, io);
}

function registerMaking(evidence: Command, io: Io): void {
  const answer = addServerVerb(
    evidence,
    'answer',
    'make the answer to a question of the ledger as a PDF document',
  );
  addOut(addConditions(answer).addOption(periodOption()))
    .option('--title <text>', 'what the document is called')
    .action(async (options: MakeOptions & ConditionOptions) => {
      const { client } = await connect(io, options);
      const input = { kind: 'ledger.answer', question: questionOf(options), ...titleOf(options) } as const;
      await fetchMade(io, client, options, await client.call('evidence.make', input));
    });

  addOut(
    addServerVerb(
      evidence,
      'erasure',
      "make the certificate of a participant's erasure, or of that of a whole study, as a PDF document",
    ),
  )
    .requiredOption('--study <id>', 'the study')
    .option('--subject <alias>', 'the subject that was erased; without it the whole study')
    .option('--title <text>', 'what the document is called')
    .action(async (options: ErasureOptions) => {
      const { client } = await connect(io, options);
      const { study, subject } = options;
      const input =
        subject === undefined
          ? ({ kind: 'study.erasure', study, ...titleOf(options) } as const)
          : ({ kind: 'subject.erasure', study, subject, ...titleOf(options) } as const);
      await fetchMade(io, client, options, await client.call('evidence.make', input));
    });
}

function registerExit(evidence: Command, io: Io): void {
  addOut(addServerVerb(evidence, 'exit', 'make the certificate of the exit of the tenant as a PDF document'))
    .option('--title <text>', 'what the document is called')
    .action(async (options: MakeOptions) => {
      const { client } = await connect(io, options);
      const input = { kind: 'tenant.exit', ...titleOf(options) } as const;
      await fetchMade(io, client, options, await client.call('evidence.make', input));
    });
}

function registerDestruction(evidence: Command, io: Io): void {
  addOut(
    addServerVerb(
      evidence,
      'destruction <key>',
      'make the certificate that a key was destroyed as a PDF document',
    ),
  )
    .option('--title <text>', 'what the document is called')
    .action(async (key: string, options: MakeOptions) => {
      const { client } = await connect(io, options);
      const input = { kind: 'key.destruction', key, ...titleOf(options) } as const;
      await fetchMade(io, client, options, await client.call('evidence.make', input));
    });
}

function registerInventory(evidence: Command, io: Io): void {
  addOut(
    addServerVerb(evidence, 'inventory', 'make the inventory of keys, out of the ledger, as a PDF document'),
  )
    .option('--as-of <date>', 'the keys that there were at this time; now otherwise', parseTime)
    .option('--system <id>', 'keys of this system')
    .option('--title <text>', 'what the document is called')
    .action(async (options: MakeOptions & { readonly asOf?: number; readonly system?: string }) => {
      const { client } = await connect(io, options);
      const { asOf, system } = options;
      const about = { ...(asOf !== undefined && { asOf }), ...(system !== undefined && { system }) };
      const input = { kind: 'key.inventory', ...about, ...titleOf(options) } as const;
      await fetchMade(io, client, options, await client.call('evidence.make', input));
    });
}

function registerReview(evidence: Command, io: Io): void {
  addOut(addServerVerb(evidence, 'review <review>', 'make a closed audit-trail review as a PDF document'))
    .option('--title <text>', 'what the document is called')
    .action(async (review: string, options: MakeOptions) => {
      const { client } = await connect(io, options);
      const input = { kind: 'audit.review', review, ...titleOf(options) } as const;
      await fetchMade(io, client, options, await client.call('evidence.make', input));
    });
}

function registerCeremony(evidence: Command, io: Io): void {
  addOut(
    addServerVerb(
      evidence,
      'ceremony <entry>',
      'make the minutes of a key ceremony, by its entry in the ledger, as a PDF document',
    ),
  )
    .option('--title <text>', 'what the document is called')
    .action(async (ceremony: string, options: MakeOptions) => {
      const { client } = await connect(io, options);
      const input = { kind: 'root.ceremony', ceremony, ...titleOf(options) } as const;
      await fetchMade(io, client, options, await client.call('evidence.make', input));
    });
}

function registerDrill(evidence: Command, io: Io): void {
  addOut(addServerVerb(evidence, 'drill <drill>', 'make the record of a drill as a PDF document'))
    .option('--title <text>', 'what the document is called')
    .action(async (drill: string, options: MakeOptions) => {
      const { client } = await connect(io, options);
      const input = { kind: 'revocation.drill', drill, ...titleOf(options) } as const;
      await fetchMade(io, client, options, await client.call('evidence.make', input));
    });
}

function registerKept(evidence: Command, io: Io): void {
  addServerVerb(evidence, 'list', operations['evidence.list'].summary).action(
    async (options: SessionOptions) => {
      const { client } = await connect(io, options);
      const pages = pagesOf((at) => client.call('evidence.list', at));
      const documents: Output<Operations['evidence.list']>['documents'] = [];
      for await (const page of pages) documents.push(...page.documents);
      await print(io, options, { documents }, () =>
        table(
          ['id', 'kind', 'made', 'SHA-256'],
          documents.map(({ id, kind, madeAt, hash }) => [id, kind, isoTime(madeAt), hash]),
        ),
      );
    },
  );

  addOut(addServerVerb(evidence, 'fetch <id>', operations['evidence.fetch'].summary)).action(
    async (id: string, options: SessionOptions & OutOptions) => {
      const { client } = await connect(io, options);
      await writeResult(io, options, await client.call('evidence.fetch', { evidence: id }));
      await print(io, options, { id, out: options.out }, () => `The document is in ${options.out}.`);
    },
  );

  addOut(
    addVerb(evidence, 'page', 'write verify.html, which verifies these documents in a browser, offline'),
  ).action(async (options: OutputOptions & OutOptions) => {
    await writeResult(io, options, await evidencePage());
    await print(
      io,
      options,
      { out: options.out },
      () => `The page is in ${options.out}; open it in a browser.`,
    );
  });
}

function addOut(verb: Command): Command {
  return verb
    .requiredOption('--out <file>', 'where to write it')
    .option('--overwrite', 'replace an existing file');
}

function titleOf({ title }: MakeOptions): { title?: string } {
  return title === undefined ? {} : { title };
}

async function fetchMade(
  io: Io,
  client: Caller,
  options: MakeOptions,
  made: { readonly id: string; readonly hash: string },
): Promise<void> {
  say(io, options, `The ledger holds the SHA-256 ${made.hash}; fetching the document.`);
  await writeResult(io, options, await client.call('evidence.fetch', { evidence: made.id }));
  await print(io, options, { ...made, out: options.out }, () => `Document ${made.id} is in ${options.out}.`);
}
