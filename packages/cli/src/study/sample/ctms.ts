import { csv } from './csv.ts';
import { Random } from './random.ts';
import { decimal, inventPerson, isoDate, protocolNumber, sponsor, studyTitle, visits } from './study.ts';
import type { SampleFile, SampleStudy, Site } from './study.ts';

/** What the trial management system exports: sites, contacts, visits, payments, issues. */
export function* ctmsFiles(study: SampleStudy): Generator<SampleFile> {
  const { sites, subjectCount } = study;
  yield json('ctms/study.json', {
    protocolNumber,
    title: studyTitle,
    sponsor,
    phase: '3',
    status: 'ongoing',
    sites: sites.length,
    enrolled: subjectCount,
  });
  yield json('ctms/sites.json', sites.map(siteRecord));
  yield json('ctms/contacts.json', sites.flatMap(contacts));
  yield { path: 'ctms/milestones.csv', content: milestones() };
  // A list without a single row comes out of some systems as a file without a single byte.
  yield { path: 'ctms/open-issues.csv', content: Buffer.alloc(0) };
  for (const site of sites) {
    yield { path: `ctms/visits/${site.number}.csv`, content: visitSchedule(site) };
    yield { path: `ctms/payments/${site.number}.csv`, content: payments(site) };
  }
}

function json(path: string, value: unknown): SampleFile {
  return { path, content: Buffer.from(`${JSON.stringify(value, null, 2)}\n`) };
}

function siteRecord({ number, region, investigator, subjects }: Site) {
  return {
    number,
    institution: region.institution,
    city: region.city,
    country: region.country,
    investigator: investigator.fullName,
    activated: '2026-01-05',
    enrolled: subjects.length,
  };
}

function contacts(site: Site) {
  const monitor = inventPerson(`${site.number} monitor`, site.region);
  const people = { investigator: site.investigator, coordinator: site.coordinator, monitor };
  return Object.entries(people).map(([role, { fullName, address, phone, email }]) => ({
    site: site.number,
    role,
    name: fullName,
    address,
    phone,
    email,
  }));
}

function milestones(): Buffer {
  return csv([
    ['milestone', 'planned', 'actual'],
    ['Protocol approved', '2025-10-01', '2025-10-09'],
    ['First site activated', '2026-01-05', '2026-01-05'],
    ['First participant in', '2026-01-12', '2026-01-12'],
    ['Last participant in', '2026-05-15', '2026-05-12'],
    ['Last participant out', '2026-09-20', null],
    ['Database lock', '2026-10-30', null],
  ]);
}

function visitSchedule(site: Site): Buffer {
  const random = new Random(`${site.number} visit schedule`);
  const rows = site.subjects.flatMap((subject) =>
    visits.map((visit) => {
      const planned_days = subject.screenedOn_days + visit.day;
      const held = isoDate(planned_days + random.integer(-3, 3));
      return [
        protocolNumber,
        site.number,
        subject.number,
        visit.name,
        isoDate(planned_days),
        held,
        'completed',
      ];
    }),
  );
  return csv([['study', 'site', 'subject', 'visit', 'planned', 'held', 'status'], ...rows]);
}

/** Payments to the site, and travel costs paid back to participants: with their names, as remittances have them. */
function payments(site: Site): Buffer {
  const random = new Random(`${site.number} payments`);
  const rows = site.subjects.flatMap((subject) =>
    visits.flatMap((visit) => {
      const due = isoDate(subject.screenedOn_days + visit.day + 30);
      const reference = `${protocolNumber}/${subject.number}/${visit.oid}`;
      const fee = decimal(random.integer(18_000, 64_000), 2);
      const travel = decimal(random.integer(400, 9_500), 2);
      return [
        [reference, 'visit fee', site.region.institution, fee, 'EUR', due],
        [reference, 'travel', `${subject.fullName}, ${subject.address}`, travel, 'EUR', due],
      ];
    }),
  );
  return csv([['reference', 'kind', 'payee', 'amount', 'currency', 'due'], ...rows]);
}
