import type * as Pkcs11 from 'pkcs11js';
import { StartupError } from '../../platform/errors.ts';
import type { StartupErrorCode } from '../../platform/errors.ts';

type Binding = typeof Pkcs11;

/** What the binding throws: the number of a CKR_… value and its name. */
function returnValue(error: unknown): number | undefined {
  const { name, code } = error as { name?: string; code?: unknown };
  return name === 'Pkcs11Error' && typeof code === 'number' ? code : undefined;
}

/** Whether the session or what was found in it is gone, while the token may still be there. */
export function isSessionLoss(p: Binding, error: unknown): boolean {
  const values = [
    p.CKR_SESSION_HANDLE_INVALID,
    p.CKR_SESSION_CLOSED,
    p.CKR_USER_NOT_LOGGED_IN,
    p.CKR_KEY_HANDLE_INVALID,
    p.CKR_OBJECT_HANDLE_INVALID,
  ];
  const value = returnValue(error);
  return value !== undefined && values.includes(value);
}

/** The device, the token or the library is at fault, whatever was asked (PKCS #11 2.40 sections 5.1.1 to 5.1.4). */
export function isDeviceLoss(p: Binding, error: unknown): boolean {
  const values = [
    p.CKR_HOST_MEMORY,
    p.CKR_CRYPTOKI_NOT_INITIALIZED,
    p.CKR_SLOT_ID_INVALID,
    p.CKR_DEVICE_ERROR,
    p.CKR_DEVICE_MEMORY,
    p.CKR_DEVICE_REMOVED,
    p.CKR_TOKEN_NOT_PRESENT,
    p.CKR_TOKEN_NOT_RECOGNIZED,
  ];
  const value = returnValue(error);
  return value !== undefined && values.includes(value);
}

/** What tokens answer where the ciphertext, and not they themselves, is the reason (PKCS #11 2.40 section 5.1.6). */
export function isCiphertextToBlame(p: Binding, error: unknown): boolean {
  const values = [
    p.CKR_ENCRYPTED_DATA_INVALID,
    p.CKR_ENCRYPTED_DATA_LEN_RANGE,
    p.CKR_DATA_INVALID,
    p.CKR_DATA_LEN_RANGE,
  ];
  const value = returnValue(error);
  return value !== undefined && values.includes(value);
}

/** The failure of one question, which says nothing of the others: the token answers. */
export class QuestionError extends StartupError {}

/** What a failed call means for the root (PKCS#11 2.40 section 5.1). */
export function tokenError(p: Binding, error: unknown): StartupError {
  const codes: [StartupErrorCode, number[]][] = [
    [
      'root.refused',
      [
        p.CKR_PIN_INCORRECT,
        p.CKR_PIN_INVALID,
        p.CKR_PIN_LEN_RANGE,
        p.CKR_PIN_EXPIRED,
        p.CKR_PIN_LOCKED,
        p.CKR_USER_PIN_NOT_INITIALIZED,
        p.CKR_USER_ANOTHER_ALREADY_LOGGED_IN,
        p.CKR_KEY_FUNCTION_NOT_PERMITTED,
        p.CKR_TOKEN_WRITE_PROTECTED,
      ],
    ],
    ['root.key_gone', [p.CKR_KEY_HANDLE_INVALID, p.CKR_OBJECT_HANDLE_INVALID]],
    [
      'root.failed',
      [
        p.CKR_MECHANISM_INVALID,
        p.CKR_MECHANISM_PARAM_INVALID,
        p.CKR_TEMPLATE_INCONSISTENT,
        p.CKR_TEMPLATE_INCOMPLETE,
        p.CKR_ATTRIBUTE_TYPE_INVALID,
        p.CKR_ATTRIBUTE_VALUE_INVALID,
        p.CKR_DOMAIN_PARAMS_INVALID,
        p.CKR_KEY_SIZE_RANGE,
        p.CKR_KEY_TYPE_INCONSISTENT,
      ],
    ],
  ];
  const value = returnValue(error);
  const code = codes.find(([, values]) => value !== undefined && values.includes(value))?.[0];
  // The name of the value or the loader's message: the binding puts no argument into either.
  const detail = (error instanceof Error ? error.message : 'unknown').slice(0, 200);
  return new StartupError(code ?? 'root.unreachable', `${detail}.`, error);
}
