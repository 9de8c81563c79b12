import { Type } from 'typebox';
import type { TObject, TUnsafe } from 'typebox';
import type { ErrorCode } from './errors.ts';
import { keyUseOperations } from './key-uses.ts';
import type { Input, Operation, Output } from './operation.ts';
import { closed } from './schemas.ts';

/** Items of one batch, at most. */
export const maxBatchItems = 1000;
/**
 * Longest body of a batch: 1,000 plaintexts of 1 KiB with their contexts, or some twenty of 64 KiB. Reading and checking more at
 * once would hold up everybody else.
 */
export const maxBatchBodyBytes = 2 * 1024 * 1024;

/** Why one item was refused, in the words of {@link ErrorCode}; the fix is that of the code. */
export interface ItemError {
  code: ErrorCode;
  message: string;
  /** JSON pointer of the input that is wrong, into the request. */
  field?: string;
}
/** What became of one item of a batch. */
export type ItemOutcome<Result> = { result: Result } | { error: ItemError };

/** The input of an operation but for the key, which all items share. */
type Item<O extends Operation> = Omit<Input<O>, 'key'>;

/** The batch twin of an operation: its types, without what the compiler would have to work out of the schemas. */
export interface Batch<O extends Operation> extends Operation<
  TObject<{ key: TUnsafe<string>; items: TUnsafe<Item<O>[]> }>,
  TUnsafe<{ items: ItemOutcome<Output<O>>[] }>
> {
  readonly id: `${O['id']}-batch`;
  readonly batchOf: O['id'];
  readonly permission: O['permission'];
  readonly effect: 'use';
}

const itemError = Type.Object(
  {
    code: Type.String({
      description: 'An error code; errors of the request as a whole have a status instead',
    }),
    message: Type.String(),
    field: Type.Optional(Type.String({ description: 'JSON pointer into the request' })),
  },
  closed,
);

/**
 * Many uses of one key in one request, in the order of the items; each has its own outcome and its own ledger entry, which is
 * that of the operation itself. What is wrong with the caller, the form of the request or the key refuses the whole.
 */
function batchOf<const O extends Operation & { readonly effect: 'use' }>(single: O): Batch<O> {
  const { key, ...rest } = single.input.properties;
  if (key === undefined) throw new Error(`Operation ${single.id} names no key that a batch could share.`);
  const items = Type.Array(Type.Object(rest, closed), { minItems: 1, maxItems: maxBatchItems });
  const result = Type.Object({ result: single.output }, closed);
  const outcome = Type.Union([result, Type.Object({ error: itemError }, closed)]);
  const input = Type.Object({ key, items }, closed);
  const output = Type.Object({ items: Type.Array(outcome) }, closed);
  const { reason, permission, requirements, errors } = single;
  return {
    id: `${single.id}-batch`,
    batchOf: single.id,
    summary: `Many at once, each with its own outcome: ${lowerFirst(single.summary)}`,
    method: 'POST',
    path: `${single.path}/batch`,
    input: input as unknown as Batch<O>['input'],
    maxBodyBytes: maxBatchBodyBytes,
    output: output as unknown as Batch<O>['output'],
    permission,
    effect: 'use',
    record: 'entry',
    recorded: [],
    reason,
    errors,
    requirements,
  };
}

function lowerFirst(sentence: string): string {
  return sentence.slice(0, 1).toLowerCase() + sentence.slice(1);
}

export const batchOperations = {
  'keys.encrypt-batch': batchOf(keyUseOperations['keys.encrypt']),
  'keys.decrypt-batch': batchOf(keyUseOperations['keys.decrypt']),
  'keys.re-encrypt-batch': batchOf(keyUseOperations['keys.re-encrypt']),
  'keys.generate-data-key-batch': batchOf(keyUseOperations['keys.generate-data-key']),
  'keys.generate-wrapped-data-key-batch': batchOf(keyUseOperations['keys.generate-wrapped-data-key']),
  'keys.decrypt-data-key-batch': batchOf(keyUseOperations['keys.decrypt-data-key']),
  'keys.sign-batch': batchOf(keyUseOperations['keys.sign']),
  'keys.verify-batch': batchOf(keyUseOperations['keys.verify']),
  'keys.generate-mac-batch': batchOf(keyUseOperations['keys.generate-mac']),
  'keys.verify-mac-batch': batchOf(keyUseOperations['keys.verify-mac']),
} as const;
/** Operations that stand for many of another; what they do is what that one does. */
export type BatchId = keyof typeof batchOperations;
