/**
 * Where an input of a checked form holds text that is not well-formed Unicode (an unpaired surrogate), as a JSON pointer; undefined
 * where it holds none. No database stores such text, and encoding it would silently make other text of it.
 */
export function illFormedText(value: unknown, pointer = ''): string | undefined {
  if (typeof value === 'string') return value.isWellFormed() ? undefined : pointer;
  if (typeof value !== 'object' || value === null) return undefined;
  for (const [name, member] of Object.entries(value)) {
    const found = name.isWellFormed() ? illFormedText(member, `${pointer}/${name}`) : pointer;
    if (found !== undefined) return found;
  }
  return undefined;
}
