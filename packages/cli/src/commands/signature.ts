import { operations, pagesOf } from '@trialkeep/sdk/client';
import type { Operations, Output } from '@trialkeep/sdk/client';
import type { Command } from 'commander';
import type { Io } from '../io.ts';
import { isoTime, print, table } from '../output.ts';
import { connect } from '../session.ts';
import type { SessionOptions } from '../session.ts';
import { addServerVerb } from '../verb.ts';

type Signature = Output<Operations['signatures.list']>['signatures'][number];

export function register(program: Command, io: Io): void {
  const signature = program.command('signature').description('electronic signatures');

  addServerVerb(signature, 'list', operations['signatures.list'].summary).action(
    async (options: SessionOptions) => {
      const { client } = await connect(io, options);
      const signatures: Signature[] = [];
      for await (const page of pagesOf((at) => client.call('signatures.list', at))) {
        signatures.push(...page.signatures);
      }
      await print(io, options, { signatures }, () =>
        table(
          ['signed', 'name', 'meaning', 'holds', 'person', 'id'],
          signatures.map((row) => [
            isoTime(row.signedAt),
            row.name,
            row.meaning,
            row.valid ? 'yes' : 'NO',
            row.person,
            row.id,
          ]),
        ),
      );
    },
  );
}
