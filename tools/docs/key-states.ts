import type { Page } from './page.ts';
import { heading, load, table } from './page.ts';

interface StatePermits {
  readonly protect: string;
  readonly process: string;
  readonly meaning: string;
}

interface Transition {
  readonly from: string;
  readonly event: string;
  readonly to: string;
}

const source = 'packages/server/src/keys/states.ts';

/** Where each event leads from each state. */
function transitionMatrix(states: readonly string[], transitions: readonly Transition[]): string {
  const events = [...new Set(transitions.map((transition) => transition.event))];
  const rows = states.map((from) => [
    from,
    ...events.map(
      (event) => transitions.find((each) => each.from === from && each.event === event)?.to ?? '–',
    ),
  ]);
  return table(['state', ...events], rows);
}

export const keyStatesPage: Page = {
  path: 'docs/key-states.md',
  render: async () => {
    const states = await load<Record<string, StatePermits>>(source, 'keyStateTable');
    const transitions = await load<readonly Transition[]>(source, 'transitions');
    const rows = Object.entries(states).map(([state, { protect, process, meaning }]) => [
      state,
      meaning,
      protect,
      process === 'data-recovery' ? 'data recovery only' : process,
    ]);
    return `${heading('Key states', source)}
The states of NIST SP 800-57 part 1 rev. 5, section 7. To protect is to encrypt, sign or wrap; to process is to decrypt, verify
or unwrap what was protected before. _Data recovery only_: a credential of that role, with a reason, which goes on the record.

${table(['state', 'meaning', 'protects', 'processes'], rows)}

## Transitions

Each cell is the state after the event; \`–\` is refused.

${transitionMatrix(Object.keys(states), transitions)}
`;
  },
};
