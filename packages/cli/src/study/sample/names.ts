/** Invented people come from these tables: names that are common in a country, put together at random. */
export interface Region {
  readonly country: string;
  /** ISO 639-1, for the consent form that the site uses. */
  readonly language: string;
  readonly city: string;
  readonly institution: string;
  /** Followed by eight digits; the ranges are not in service. */
  readonly phonePrefix: string;
  readonly familyNameFirst: boolean;
  readonly female: readonly string[];
  readonly male: readonly string[];
  readonly family: readonly string[];
  readonly streets: readonly string[];
  readonly postcodes: readonly string[];
}

const polish = {
  country: 'PL',
  language: 'pl',
  phonePrefix: '+48 00',
  familyNameFirst: false,
  female: ['Agnieszka', 'Bożena', 'Elżbieta', 'Grażyna', 'Halina', 'Małgorzata', 'Stanisława', 'Zofia'],
  male: ['Andrzej', 'Bogusław', 'Grzegorz', 'Józef', 'Kazimierz', 'Łukasz', 'Stanisław', 'Zdzisław'],
  family: ['Wójcik', 'Woźniak', 'Król', 'Dudek', 'Stępień', 'Gołąb', 'Sikora', 'Żak', 'Błaszczyk', 'Pająk'],
  streets: ['ul. Kasztanowa', 'ul. Świętej Anny', 'ul. Długa', 'al. Niepodległości', 'ul. Źródlana'],
  postcodes: ['00-951', '31-007', '80-831'],
} as const;

const japanese = {
  country: 'JP',
  language: 'ja',
  phonePrefix: '+81 00',
  familyNameFirst: true,
  female: ['花子', '美咲', '恵子', '陽子', '千代', '由美子', 'さくら', '幸子'],
  male: ['太郎', '健一', '浩', '翔太', '正雄', '和夫', '大輔', '修'],
  family: ['佐藤', '鈴木', '高橋', '田中', '渡辺', '伊藤', '山本', '中村', '小林', '齋藤'],
  streets: ['桜台', '緑が丘', '本町', '若葉町', '松原'],
  postcodes: ['〒100-0099', '〒530-0099', '〒606-0099'],
} as const;

const english = {
  country: 'GB',
  language: 'en',
  phonePrefix: '+44 1632',
  familyNameFirst: false,
  female: ['Margaret', 'Dorothy', 'Eleanor', 'Patricia', 'Sian', 'Aoife', 'Priya', 'Grace'],
  male: ['Arthur', 'Clive', 'Dermot', 'Gordon', 'Rhys', 'Winston', 'Imran', 'Neil'],
  family: [
    'Ashworth',
    'Blackwood',
    "O'Sullivan",
    'Pemberton',
    'Okafor',
    'Llewellyn',
    'Fairclough',
    'Hargreaves',
  ],
  streets: ['Larch Close', 'Canal Row', 'St Bride Lane', 'Old Mill Road', 'Harbour Terrace'],
  postcodes: ['ZZ9 4QX', 'ZZ1 7LM', 'ZZ5 2RD'],
} as const;

const german = {
  country: 'DE',
  language: 'de',
  phonePrefix: '+49 000',
  familyNameFirst: false,
  female: ['Brigitte', 'Käthe', 'Liselotte', 'Renate', 'Ursula', 'Jördis'],
  male: ['Jürgen', 'Günther', 'Karl-Heinz', 'Björn', 'Wolfgang', 'Uwe'],
  family: ['Müller', 'Schäfer', 'Krause', 'Weiß', 'Köhler', 'Vogel', 'Böttcher', 'Groß'],
  streets: ['Lindenstraße', 'Am Mühlbach', 'Kirchgasse', 'Bahnhofstraße'],
  postcodes: ['00069', '00117', '00808'],
} as const;

const french = {
  country: 'FR',
  language: 'fr',
  phonePrefix: '+33 000',
  familyNameFirst: false,
  female: ['Françoise', 'Geneviève', 'Hélène', 'Monique', 'Odile', 'Zoé'],
  male: ['André', 'Benoît', 'Jérôme', 'Loïc', 'Raphaël', 'Thierry'],
  family: ['Lefèvre', 'Moreau', 'Besançon', 'Guérin', 'Châtelain', 'Dubois', 'Marchand', 'Noël'],
  streets: ['rue des Tilleuls', 'chemin du Château', 'quai des Brumes', 'impasse Saint-Éloi'],
  postcodes: ['00690', '00130', '00310'],
} as const;

/** One for each site, over again where there are more sites. Institutions are invented. */
export const regions: readonly Region[] = [
  { ...english, city: 'Bristol', institution: 'Harbourside Heart Clinic' },
  { ...japanese, city: '東京', institution: '桜台記念病院' },
  { ...polish, city: 'Gdańsk', institution: 'Przychodnia Kardiologiczna Żuraw' },
  { ...german, city: 'Köln', institution: 'Herzzentrum Am Mühlbach' },
  { ...english, city: 'Leeds', institution: 'Canal Row University Hospital' },
  { ...polish, city: 'Łódź', institution: 'Szpital Świętej Anny' },
  { ...japanese, city: '京都', institution: '若葉町循環器センター' },
  { ...french, city: 'Lyon', institution: 'Clinique Saint-Éloi' },
];
