import { Random } from './random.ts';
import { decimal, isoDate, isoTime, protocolNumber, visits } from './study.ts';
import type { Subject } from './study.ts';

export type Cell = string | number | null;
type DataType = 'string' | 'integer' | 'decimal' | 'datetime' | 'date';

/** An SDTM domain: its columns (after the three that every domain has) and one subject's rows of it. */
export interface Table {
  /** Two letters, as in SDTM. */
  readonly domain: string;
  readonly label: string;
  readonly columns: readonly (readonly [name: string, label: string, dataType: DataType])[];
  readonly rows: (subject: Subject) => Cell[][];
}

/** Unique in the study: `AFR-301-101-0001`. */
export function uniqueSubjectId(subject: Subject): string {
  return `${protocolNumber}-${subject.number}`;
}

export const demographics: Table = {
  domain: 'DM',
  label: 'Demographics',
  columns: [
    ['SUBJID', 'Subject Identifier for the Study', 'string'],
    ['RFICDTC', 'Date/Time of Informed Consent', 'date'],
    ['BRTHDTC', 'Date/Time of Birth', 'date'],
    ['SEX', 'Sex', 'string'],
    ['ARM', 'Description of Planned Arm', 'string'],
    // SDTM leaves the address out; what sites enter into an EDC does not.
    ['SUBJADDR', 'Address of the Subject', 'string'],
  ],
  rows: (subject) => [
    [
      subject.number,
      isoDate(subject.screenedOn_days),
      subject.birthDate,
      subject.sex,
      subject.arm,
      subject.address,
    ],
  ],
};

/** Mean and spread are in units of the last decimal place. */
type Measure = readonly [
  code: string,
  name: string,
  unit: string,
  mean: number,
  spread: number,
  places: 0 | 1 | 2,
];

const vitals: readonly Measure[] = [
  ['SYSBP', 'Systolic Blood Pressure', 'mmHg', 134, 26, 0],
  ['DIABP', 'Diastolic Blood Pressure', 'mmHg', 80, 14, 0],
  ['PULSE', 'Pulse Rate', 'beats/min', 72, 18, 0],
  ['RESP', 'Respiratory Rate', 'breaths/min', 15, 4, 0],
  ['TEMP', 'Temperature', 'C', 366, 6, 1],
];
const positions = ['SUPINE', 'SITTING', 'STANDING'];

export const vitalSigns: Table = {
  domain: 'VS',
  label: 'Vital Signs',
  columns: [
    ['VSSEQ', 'Sequence Number', 'integer'],
    ['VSTESTCD', 'Vital Signs Test Short Name', 'string'],
    ['VSTEST', 'Vital Signs Test Name', 'string'],
    ['VSPOS', 'Vital Signs Position of Subject', 'string'],
    ['VSORRES', 'Result or Finding in Original Units', 'string'],
    ['VSORRESU', 'Original Units', 'string'],
    ['VISIT', 'Visit Name', 'string'],
    ['VSDTC', 'Date/Time of Measurements', 'datetime'],
  ],
  rows(subject) {
    const random = new Random(`${subject.number} vital signs`);
    const rows: Cell[][] = [];
    for (const visit of visits) {
      for (const [at, position] of positions.entries()) {
        const taken = isoTime(subject.screenedOn_days + visit.day, 510 + at * 7 + random.integer(0, 4));
        for (const [code, name, unit, ...figures] of vitals) {
          rows.push([rows.length + 1, code, name, position, draw(random, figures), unit, visit.name, taken]);
        }
      }
    }
    return rows;
  },
};

const analytes: readonly Measure[] = [
  ['ALB', 'Albumin', 'g/L', 42, 6, 0],
  ['ALP', 'Alkaline Phosphatase', 'U/L', 78, 40, 0],
  ['ALT', 'Alanine Aminotransferase', 'U/L', 24, 18, 0],
  ['AST', 'Aspartate Aminotransferase', 'U/L', 25, 14, 0],
  ['BILI', 'Bilirubin', 'umol/L', 10, 7, 0],
  ['BUN', 'Blood Urea Nitrogen', 'mmol/L', 55, 24, 1],
  ['CA', 'Calcium', 'mmol/L', 235, 15, 2],
  ['CHOL', 'Cholesterol', 'mmol/L', 52, 16, 1],
  ['CK', 'Creatine Kinase', 'U/L', 110, 80, 0],
  ['CL', 'Chloride', 'mmol/L', 103, 5, 0],
  ['CREAT', 'Creatinine', 'umol/L', 82, 26, 0],
  ['GGT', 'Gamma Glutamyl Transferase', 'U/L', 30, 22, 0],
  ['GLUC', 'Glucose', 'mmol/L', 54, 14, 1],
  ['HCT', 'Hematocrit', 'L/L', 42, 5, 2],
  ['HGB', 'Hemoglobin', 'g/L', 141, 20, 0],
  ['K', 'Potassium', 'mmol/L', 42, 6, 1],
  ['MG', 'Magnesium', 'mmol/L', 84, 12, 2],
  ['PLAT', 'Platelets', '10^9/L', 240, 80, 0],
  ['PROBNP', 'N-Terminal ProB-type Natriuretic Peptide', 'ng/L', 620, 540, 0],
  ['RBC', 'Erythrocytes', '10^12/L', 47, 6, 1],
  ['SODIUM', 'Sodium', 'mmol/L', 140, 4, 0],
  ['TROPT', 'Troponin T', 'ng/L', 9, 6, 0],
  ['TSH', 'Thyrotropin', 'mU/L', 190, 140, 2],
  ['WBC', 'Leukocytes', '10^9/L', 66, 22, 1],
];

export const laboratory: Table = {
  domain: 'LB',
  label: 'Laboratory Test Results',
  columns: [
    ['LBSEQ', 'Sequence Number', 'integer'],
    ['LBTESTCD', 'Lab Test or Examination Short Name', 'string'],
    ['LBTEST', 'Lab Test or Examination Name', 'string'],
    ['LBORRES', 'Result or Finding in Original Units', 'string'],
    ['LBORRESU', 'Original Units', 'string'],
    ['LBNRIND', 'Reference Range Indicator', 'string'],
    ['LBREFID', 'Specimen ID', 'string'],
    ['VISIT', 'Visit Name', 'string'],
    ['LBDTC', 'Date/Time of Specimen Collection', 'datetime'],
  ],
  rows(subject) {
    const random = new Random(`${subject.number} laboratory`);
    const rows: Cell[][] = [];
    for (const visit of visits) {
      const specimen = `SP${random.integer(10_000_000, 99_999_999)}`;
      const taken = isoTime(subject.screenedOn_days + visit.day, 480 + random.integer(0, 90));
      for (const [code, name, unit, ...figures] of analytes) {
        const flag = random.once(19) ? random.pick(['LOW', 'HIGH']) : 'NORMAL';
        const result = draw(random, figures);
        rows.push([rows.length + 1, code, name, result, unit, flag, specimen, visit.name, taken]);
      }
    }
    return rows;
  },
};

const events = [
  ['Headache', 'Nervous system disorders'],
  ['Dizziness', 'Nervous system disorders'],
  ['Palpitations', 'Cardiac disorders'],
  ['Bradycardia', 'Cardiac disorders'],
  ['Nausea', 'Gastrointestinal disorders'],
  ['Application site dermatitis', 'General disorders and administration site conditions'],
  ['Fatigue', 'General disorders and administration site conditions'],
  ['Nasopharyngitis', 'Infections and infestations'],
  ['Back pain', 'Musculoskeletal and connective tissue disorders'],
  ['Insomnia', 'Psychiatric disorders'],
] as const;

export const adverseEvents: Table = {
  domain: 'AE',
  label: 'Adverse Events',
  columns: [
    ['AESEQ', 'Sequence Number', 'integer'],
    ['AETERM', 'Reported Term for the Adverse Event', 'string'],
    ['AEBODSYS', 'Body System or Organ Class', 'string'],
    ['AESEV', 'Severity/Intensity', 'string'],
    ['AESER', 'Serious Event', 'string'],
    ['AEREL', 'Causality', 'string'],
    ['AESTDTC', 'Start Date/Time of Adverse Event', 'date'],
    ['AEENDTC', 'End Date/Time of Adverse Event', 'date'],
  ],
  rows(subject) {
    const random = new Random(`${subject.number} adverse events`);
    const rows: Cell[][] = [];
    for (let left = random.integer(0, 8); left > 0; left--) {
      const [term, system] = random.pick(events);
      const begin_days = subject.screenedOn_days + random.integer(14, 120);
      rows.push([
        rows.length + 1,
        term,
        system,
        random.pick(['MILD', 'MILD', 'MODERATE', 'SEVERE']),
        random.once(15) ? 'Y' : 'N',
        random.pick(['NOT RELATED', 'POSSIBLE', 'PROBABLE']),
        isoDate(begin_days),
        random.once(5) ? null : isoDate(begin_days + random.integer(1, 20)),
      ]);
    }
    return rows;
  },
};

const medicines = [
  'APIXABAN',
  'ATORVASTATIN',
  'BISOPROLOL',
  'METFORMIN',
  'PARACETAMOL',
  'RAMIPRIL',
  'VITAMIN D',
];

export const concomitantMedications: Table = {
  domain: 'CM',
  label: 'Concomitant Medications',
  columns: [
    ['CMSEQ', 'Sequence Number', 'integer'],
    ['CMTRT', 'Reported Name of Drug, Med, or Therapy', 'string'],
    ['CMDOSE', 'Dose per Administration', 'integer'],
    ['CMDOSU', 'Dose Units', 'string'],
    ['CMSTDTC', 'Start Date/Time of Medication', 'date'],
  ],
  rows(subject) {
    const random = new Random(`${subject.number} medication`);
    const rows: Cell[][] = [];
    for (let left = random.integer(1, 6); left > 0; left--) {
      const begin_days = subject.screenedOn_days - random.integer(10, 2500);
      rows.push([
        rows.length + 1,
        random.pick(medicines),
        random.integer(1, 40) * 5,
        'mg',
        isoDate(begin_days),
      ]);
    }
    return rows;
  },
};

/** A value of the measure, as text with its decimal places. */
function draw(random: Random, [mean, spread, places]: readonly [number, number, 0 | 1 | 2]): string {
  const units = mean + Math.round(random.scatter() * spread);
  return places === 0 ? String(units) : decimal(units, places);
}
