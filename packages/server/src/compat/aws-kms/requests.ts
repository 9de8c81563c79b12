import type { OperationId } from '@trialkeep/contract';
import { Type } from 'typebox';
import type { Static, TObject } from 'typebox';
import { Compile } from 'typebox/compile';
import { AwsError } from './errors.ts';
import type { Call } from './call.ts';

/**
 * The requests that are served, with the members of each that mean something here. How long and of what form they may be, our operations say:
 * what they refuse is on the record.
 */

const closed = { additionalProperties: false } as const;
const text = Type.String();
const optionalText = Type.Optional(text);
const context = Type.Optional(Type.Record(Type.String(), Type.String()));
const sizes = { KeySpec: optionalText, NumberOfBytes: Type.Optional(Type.Integer()) };

export const members = {
  CreateKey: Type.Object(
    {
      Description: optionalText,
      KeySpec: optionalText,
      KeyUsage: optionalText,
      Origin: optionalText,
      Tags: Type.Optional(Type.Array(Type.Object({ TagKey: text, TagValue: text }, closed))),
    },
    closed,
  ),
  DescribeKey: Type.Object({ KeyId: text }, closed),
  ListKeys: Type.Object({ Limit: Type.Optional(Type.Integer()), Marker: optionalText }, closed),
  Encrypt: Type.Object(
    { KeyId: text, Plaintext: text, EncryptionContext: context, EncryptionAlgorithm: optionalText },
    closed,
  ),
  Decrypt: Type.Object(
    {
      CiphertextBlob: text,
      KeyId: optionalText,
      EncryptionContext: context,
      EncryptionAlgorithm: optionalText,
    },
    closed,
  ),
  GenerateDataKey: Type.Object({ KeyId: text, EncryptionContext: context, ...sizes }, closed),
  GenerateDataKeyWithoutPlaintext: Type.Object({ KeyId: text, EncryptionContext: context, ...sizes }, closed),
  ReEncrypt: Type.Object(
    {
      CiphertextBlob: text,
      SourceKeyId: optionalText,
      SourceEncryptionContext: context,
      SourceEncryptionAlgorithm: optionalText,
      DestinationKeyId: text,
      DestinationEncryptionContext: context,
      DestinationEncryptionAlgorithm: optionalText,
    },
    closed,
  ),
} as const satisfies Record<string, TObject>;

export type RequestName = keyof typeof members;
export type Members<Name extends RequestName> = Static<(typeof members)[Name]>;
export type Served = {
  readonly [Name in RequestName]: (call: Call, input: Members<Name>) => Promise<object>;
};

/** What a request is on our record where it does not come as far as asking for anything. */
export const recordedAs = {
  CreateKey: 'keys.create',
  DescribeKey: 'keys.show',
  ListKeys: 'inventory.find',
  Encrypt: 'keys.encrypt',
  Decrypt: 'keys.decrypt',
  GenerateDataKey: 'keys.generate-data-key',
  GenerateDataKeyWithoutPlaintext: 'keys.generate-wrapped-data-key',
  ReEncrypt: 'keys.re-encrypt',
} as const satisfies Record<RequestName, OperationId>;

/** Members of the protocol that ask for what there is not here; these values ask for nothing. To leave one out in silence would promise it. */
const unserved: Readonly<Record<string, readonly unknown[]>> = {
  BypassPolicyLockoutSafetyCheck: [false],
  CustomKeyStoreId: [],
  CustomerMasterKeySpec: [],
  DryRun: [false],
  DryRunModifiers: [],
  GrantTokens: [],
  MultiRegion: [false],
  Policy: [],
  Recipient: [],
  XksKeyId: [],
};

const checks = new Map(Object.entries(members).map(([name, schema]) => [name, Compile(schema)] as const));
const targetPrefix = 'TrentService.';

/** @throws AwsError UnsupportedOperationException */
export function requestName(target: string | undefined): RequestName {
  const name = target?.startsWith(targetPrefix) === true ? target.slice(targetPrefix.length) : '';
  if (!Object.hasOwn(members, name)) {
    throw new AwsError('UnsupportedOperationException', 'This operation is not served here.');
  }
  return name as RequestName;
}

/** The members of a request, of their form. @throws AwsError that names what is wrong */
export function readMembers(name: RequestName, body: Uint8Array): Members<RequestName> {
  const { ...given } = parseObject(body);
  for (const [member, harmless] of Object.entries(unserved)) {
    if (!Object.hasOwn(given, member)) continue;
    const value = given[member];
    const asksNothing = harmless.includes(value) || (Array.isArray(value) && value.length === 0);
    if (!asksNothing) throw new AwsError('UnsupportedOperationException', `${member} is not served here.`);
    delete given[member];
  }
  const check = checks.get(name);
  if (check?.Check(given) === true) return given;
  const path = check?.Errors(given)[0]?.instancePath.slice(0, 100) ?? '';
  const where = path === '' ? 'A member of the request' : path;
  throw new AwsError('ValidationException', `${where} is unknown, missing, or of another type.`);
}

function parseObject(body: Uint8Array): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body));
  } catch {
    throw new AwsError('SerializationException', 'The body is not JSON in UTF-8.');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new AwsError('SerializationException', 'The body is not a JSON object.');
  }
  return value as Record<string, unknown>;
}
