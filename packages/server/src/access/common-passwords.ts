/**
 * What is tried first, in lower case: the head of the lists of passwords that every published breach shows, and their stems.
 * Digits and signs at the end are taken off before a password is looked up, so that `password` stands for `Password2024!` too.
 */
export const commonPasswords: ReadonlySet<string> = new Set(
  `
  12345678 123456789 1234567890 0123456789 987654321 9876543210 87654321 11223344 12341234 123123123 123321123 102030405060
  147258369 159753456 741852963 789456123 11111111 88888888 00000000 12121212 13131313 123454321 19871987 20202020
  1q2w3e4r 1q2w3e4r5t 1q2w3e4r5t6y 1qaz2wsx 1qaz2wsx3edc zaq12wsx q1w2e3r4 q1w2e3r4t5 qazwsxedc 1qazxsw2 zaq1zaq1
  qwertyuiop qwertyui qwerty qwertz qwertzuiop azerty azertyuiop asdfghjkl asdfghjk asdfasdf asdf1234 zxcvbnm zxcvbnm, qweasdzxc
  qwer1234 1234qwer q1q1q1q1 abcd1234 abc12345 abcdefgh abcdefghi abcdef 1234abcd a1b2c3d4 aa123456 a123456789 123456789a
  password passwort passw0rd p@ssword p@ssw0rd pa$$word pa55word motdepasse contrasena contraseña senha kennwort wachtwoord
  iloveyou iloveu loveyou letmein letmein1 welcome willkommen bienvenue changeme change default secret topsecret geheim trustno
  administrator admin adminadmin administrateur administrador root toor superuser superman batman spiderman pokemon starwars
  sunshine princess football baseball basketball hockey soccer liverpool chelsea arsenal barcelona juventus schalke
  dragon monkey shadow master michael jennifer jordan jessica charlie daniel thomas andrew hunter ashley nicole samantha
  michelle matthew anthony computer internet samsung google facebook whatever freedom mustang corvette ferrari mercedes porsche
  butterfly blink cheese chocolate cookie banana orange purple flower summer winter spring autumn sommer frühling herbst
  hello hallo bonjour killer ninja hannah lovely babygirl jesus jesuschrist blessed family friends forever
  maverick phoenix scorpion merlin gandalf matrix access login signin logmein company business office security
  january february march april june july august september october november december monday friday sunday
  temporary temp temppass test testtest testing tester demo guest user username mypassword newpassword yourpassword
  clinical clinicaltrial clinicaltrials trial study sponsor hospital doctor patient research
  `
    .trim()
    .split(/\s+/),
);
