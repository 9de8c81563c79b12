import type { Input, OperationId, Operations, Output } from '@trialkeep/contract';
import { keyArn } from '../../keys/index.ts';
import type { KeyNaming } from '../../keys/index.ts';
import { OperationError } from '../../platform/errors.ts';
import { AwsError } from './errors.ts';

/** One of our operations, through the gate, by whoever signed the request. */
export type Ask = <Id extends OperationId>(
  operation: Id,
  input: Input<Operations[Id]>,
) => Promise<Output<Operations[Id]>>;

/** One request of the protocol: what it may ask of us, and how the keys of its tenant are named. */
export interface Call {
  readonly ask: Ask;
  readonly naming: KeyNaming;
}

const uuid = '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}';
const idPattern = new RegExp(`^${uuid}$`);
const arnPattern = new RegExp(`^arn:aws:kms:[a-z0-9-]{1,64}:[0-9]{12}:key/(${uuid})$`);

/**
 * The key that a KeyId names: its id, or its ARN, which has to be of this installation's region and of the caller's tenant. There are no
 * aliases.
 *
 * @throws AwsError NotFoundException, as for a key that there is not
 */
export function keyOf({ naming }: Call, keyId: string): string {
  if (idPattern.test(keyId)) return keyId;
  const id = arnPattern.exec(keyId)?.[1];
  if (id !== undefined && keyArn(naming, id) === keyId) return id;
  throw new AwsError('NotFoundException', 'There is no such key: KeyId takes the id of a key, or its ARN.');
}

export function arnOf({ naming }: Call, key: string): string {
  return keyArn(naming, key);
}

/** Whether it was refused with this code. */
export function isRefusal(error: unknown, code: OperationError['code']): boolean {
  return error instanceof OperationError && error.code === code;
}
