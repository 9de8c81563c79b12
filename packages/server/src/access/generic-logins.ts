/** Names of functions, teams and machines: behind them is nobody who could answer for what was done (URS-024). */
const genericWords: ReadonlySet<string> = new Set(
  `
  account accounts admin administrator admins anonymous audit auditor backup bot billing clinical cra crc cro ctm ctms
  custodian data default demo dept department dev developer devops edc etmf everybody everyone finance group guest help
  helpdesk hr info inspector intern investigator it kiosk lab lims mail mailbox manager monitor nobody noreply office
  operator ops pharmacy postmaster qa qc quality reception regulatory research root sales security service services shared
  site sponsor staff study super superuser support sysadmin sysop system team temp test tester testing training trial
  unknown user users vendor webmaster
  `
    .trim()
    .split(/\s+/),
);

/** Whether a sign-in name is made of nothing else: `qa`, `test-user2`, `shared.office@…`. */
export function isGenericLogin(login: string): boolean {
  const [name = ''] = login.toLowerCase().split('@', 1);
  const words = name
    .split(/[._+-]+/)
    .map((word) => word.replace(/\d+$/, ''))
    .filter((word) => word !== '');
  return words.length > 0 && words.every((word) => genericWords.has(word));
}
