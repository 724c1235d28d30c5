/** Somebody's own recogniser: consent, samples, learning, before and after, and away with it all. */

import { signal } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import { FaceCard, status } from "../faces";
import { save } from "../files";
import { say } from "../live-region";
import { inWords, isStop } from "../problem";
import type { PictureRecord } from "../record";
import { people, type People } from "../people";
import { away, type Person, type Taken, type Tested, type Trained } from "../service";
import { forget, type Shot } from "../session";
import { key, place, whose, type Place } from "../settings";
import { day, isExpression, label, number, percent, t, unit } from "../words";
import { Live } from "./live";
import { Session } from "./session";

export function PersonView() {
  const where = place.value;
  return <Known key={where} at={people(where)} where={where} />;
}

/** Who is looked at in each place; null for somebody new. It stays while another view is looked at. */
const chosenAt = signal<Record<Place, string | null>>({ device: null, service: null });

/** Whoever is known at one place. */
function Known({ at, where }: { at: People; where: Place }) {
  const [found, setFound] = useState<Person[] | null>(null);
  const persons = found ?? [];
  const chosen = chosenAt.value[where];
  const setChosen = (name: string | null) => (chosenAt.value = { ...chosenAt.value, [where]: name });
  const [problem, setProblem] = useState<unknown>(null);
  const look = () =>
    at.persons().then(
      (all) => {
        setFound(all);
        setProblem(null);
      },
      (err: unknown) => {
        setFound((before) => before ?? []);
        setProblem(err);
      },
    );
  // A service that comes back, or is given a key, is asked again.
  useEffect(() => void look(), [key.value, away.value]);
  const person = persons.find((one) => one.name === chosen);
  return (
    <>
      <p class="hint">{t("person.hint")}</p>
      {problem !== null && <p class="problem">{inWords(problem)}</p>}
      {persons.length > 0 && (
        <div class="row" role="group" aria-label={t("person.list")}>
          {persons.map((one) => (
            <button
              key={one.name}
              aria-pressed={one.name === chosen}
              onClick={() => setChosen(one.name)}
            >
              {one.name}
            </button>
          ))}
          <button class="plain" aria-pressed={chosen === null} onClick={() => setChosen(null)}>
            {t("person.new")}
          </button>
        </div>
      )}
      {person && (
        <One
          key={person.name}
          at={at}
          person={person}
          changed={look}
          gone={() => {
            setChosen(null);
            void look();
          }}
        />
      )}
      {found && !person && (
        <Begin
          at={at}
          begun={async (name) => {
            await look();
            setChosen(name);
          }}
        />
      )}
    </>
  );
}

/** Without a consent nothing is kept. */
function Begin(props: { at: People; begun: (name: string) => Promise<void> }) {
  const [name, setName] = useState("");
  const [consent, setConsent] = useState("");
  const [problem, setProblem] = useState<unknown>(null);
  const sending = useRef(false); // a second click would be a second consent
  const begin = async (event: Event) => {
    event.preventDefault();
    if (sending.current) return;
    sending.current = true;
    setProblem(null);
    try {
      const person = await props.at.begin(name, consent);
      await props.begun(person.name);
    } catch (err) {
      setProblem(err);
    } finally {
      sending.current = false;
    }
  };
  return (
    <form class="card form" onSubmit={(event) => void begin(event)}>
      <h2>{t("person.begin")}</h2>
      <label>
        {t("person.name")}
        <input
          required
          maxLength={100}
          autocomplete="off"
          value={name}
          onInput={(event) => setName(event.currentTarget.value)}
        />
      </label>
      <label>
        {t("person.consent")}
        <input
          required
          maxLength={1000}
          autocomplete="off"
          value={consent}
          onInput={(event) => setConsent(event.currentTarget.value)}
        />
      </label>
      <p class="soft">{t("person.consent.note")}</p>
      {problem !== null && <p class="problem">{inWords(problem)}</p>}
      <button class="main">{t("person.start")}</button>
    </form>
  );
}

interface OneProps {
  at: People;
  person: Person;
  changed: () => Promise<void>;
}

function One(props: OneProps & { gone: () => void }) {
  const { at, person, changed, gone } = props;
  const samples = Object.entries(person.samples);
  const enough = samples.length >= 2;
  return (
    <>
      <section class="card">
        <h2>{person.name}</h2>
        {person.consents.map((one) => (
          <p key={one.date} class="soft">
            {t("person.consented", { text: one.text, day: day(one.date) })}
          </p>
        ))}
        {samples.length ? (
          <ul class="chips">
            {samples.map(([name, count]) => (
              <li key={name} class="chip">
                {label(name)} {number(count)}
              </li>
            ))}
          </ul>
        ) : (
          <p>{t("person.none")}</p>
        )}
      </section>
      <Samples at={at} person={person} changed={changed} />
      <Learn at={at} person={person} enough={enough} changed={changed} />
      {person.recogniser.length > 0 && <Try at={at} person={person} />}
      <Away at={at} person={person} gone={gone} />
    </>
  );
}

/** What came of pictures, in words. */
function told(taken: Taken[]): string {
  const count = taken.reduce((sum, one) => sum + one.taken, 0);
  const left = taken.flatMap((one) => [...Object.values(one.left_out), Object.keys(one.unreadable).length]);
  return t("person.taken", { n: number(count), left: number(left.reduce((a, b) => a + b, 0)) });
}

function Samples({ at, person, changed }: OneProps) {
  const [busy, setBusy] = useState(false);
  const [taken, setTaken] = useState<Taken[] | null>(null);
  const [problem, setProblem] = useState<unknown>(null);
  const onDevice = place.value === "device";
  const work = async (add: () => Promise<Taken[]>) => {
    setProblem(null);
    setTaken(null);
    setBusy(true);
    try {
      const found = await add();
      setTaken(found);
      say(told(found));
      await changed();
      return true;
    } catch (err) {
      if (!isStop(err)) setProblem(err);
      return false;
    } finally {
      setBusy(false);
    }
  };
  const keep = (shots: Shot[]) =>
    work(async () => {
      const taken: Taken[] = [];
      for (const [, group] of Map.groupBy(shots, (shot) => `${shot.label}\n${shot.shown}`)) {
        const [{ label: name, shown }] = group;
        const pictures = group.map((shot) => shot.picture);
        taken.push(await at.addSamples(person.name, name, pictures, shown));
      }
      return taken;
    });
  return (
    <section class="card">
      <h2>{t("person.samples")}</h2>
      <Session whose={`${place.value}/${person.name}`} keep={keep} />
      <h3>{t("person.pictures")}</h3>
      <FromPictures add={(name, files) => void work(async () => [await at.addSamples(person.name, name, files)])} />
      {busy && <p>{t(onDevice ? "picture.reading" : "person.sending")}</p>}
      {taken && <p>{told(taken)}</p>}
      {problem !== null && <p class="problem">{inWords(problem)}</p>}
    </section>
  );
}

function FromPictures(props: { add: (name: string, files: File[]) => void }) {
  const [name, setName] = useState("");
  const field = useRef<HTMLInputElement>(null);
  return (
    <form
      class="row"
      onSubmit={(event) => {
        event.preventDefault();
        field.current!.click();
      }}
    >
      <label class="field">
        {t("person.word")}{" "}
        <input required autocomplete="off" value={name} onInput={(event) => setName(event.currentTarget.value)} />
      </label>
      <button>{t("picture.choose")}</button>
      <input
        ref={field}
        type="file"
        accept="image/*"
        multiple
        hidden
        data-testid="samples"
        onChange={(event) => {
          props.add(name, [...(event.currentTarget.files ?? [])]);
          event.currentTarget.value = "";
        }}
      />
    </form>
  );
}

/** Learning takes seconds; what it is worth is told beside what there was before. */
function Learn({ at, person, enough, changed }: OneProps & { enough: boolean }) {
  const [trained, setTrained] = useState<Trained | null>(null);
  const [tested, setTested] = useState<Tested | null>(null);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<unknown>(null);
  useEffect(() => {
    if (person.recogniser.length) void at.lastTest(person.name).then(setTested, () => null);
  }, []);
  const learn = async () => {
    setBusy(true);
    setProblem(null);
    setTrained(null);
    setTested(null);
    try {
      const made = await at.train(person.name);
      setTrained(made);
      say(t("person.trained", { s: unit(made.seconds, "second", 1) }));
      await changed();
      setTested(await at.test(person.name));
    } catch (err) {
      setProblem(err);
    } finally {
      setBusy(false);
    }
  };
  return (
    <section class="card">
      <h2>{t("person.learn")}</h2>
      <p class="hint">{t(enough ? "person.learn.hint" : "person.learn.few")}</p>
      <button class="main" disabled={!enough || busy} onClick={() => void learn()}>
        {t("person.learn.begin")}
      </button>
      {busy && <p role="status">{t("person.learning")}</p>}
      {trained && <p>{t("person.trained", { s: unit(trained.seconds, "second", 1) })}</p>}
      {trained?.general && <p class="hint">{t("person.general")}</p>}
      {tested && (
        <BeforeAndAfter tested={tested} known={Object.keys(person.samples).some(isExpression)} />
      )}
      {problem !== null && <p class="problem">{inWords(problem)}</p>}
    </section>
  );
}

/** known : whether the general model knows any of the words; else there was nothing before. */
function BeforeAndAfter(props: { tested: Tested; known: boolean }) {
  const { results, majority_baseline, samples, stimuli } = props.tested;
  const rows = [
    ...(props.known ? [[t("person.before"), results.general] as const] : []),
    [t("person.after"), results.personal] as const,
  ];
  const tells = results.personal.accuracy_ci95[0] > majority_baseline;
  return (
    <>
      <h3>{t("person.right")}</h3>
      <table class="bars tested">
        <tbody>
          {rows.map(([name, { accuracy, accuracy_ci95: [low, high] }]) => (
            <tr key={name}>
              <th scope="row">{name}</th>
              <td>
                <span class="bar" aria-hidden="true">
                  <span style={{ width: `${100 * accuracy}%`, background: "var(--accent)" }} />
                </span>
                <span class="figure">{percent(accuracy)}</span>
              </td>
              <td class="figure">{t("person.between", { low: percent(low), high: percent(high) })}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {!props.known && <p class="hint">{t("person.before.none")}</p>}
      <p class={tells ? "" : "problem"}>{t(tells ? "person.tells" : "person.tells.not")}</p>
      <p class="soft">
        {t("person.tested", {
          samples: number(samples),
          stimuli: number(stimuli),
          majority: percent(majority_baseline),
        })}
      </p>
    </>
  );
}

function Try({ at, person: { name } }: Pick<OneProps, "at" | "person">) {
  const field = useRef<HTMLInputElement>(null);
  const [record, setRecord] = useState<PictureRecord | null>(null);
  const [problem, setProblem] = useState<unknown>(null);
  const latest = useRef<File | undefined>(undefined);
  const read = (file?: File) => {
    latest.current = file;
    setRecord(null);
    setProblem(null);
    if (!file) return;
    const isLatest = () => latest.current === file;
    at.analyze(file, name).then(
      (found) => isLatest() && setRecord(found),
      (err: unknown) => isLatest() && !isStop(err) && setProblem(err),
    );
  };
  return (
    <section class="card">
      <h2>{t("person.try")}</h2>
      <div class="row">
        <button onClick={() => field.current!.click()}>{t("person.try.picture")}</button>
        <input
          ref={field}
          type="file"
          accept="image/*"
          hidden
          data-testid="try"
          onChange={(event) => {
            read(event.currentTarget.files?.[0]);
            event.currentTarget.value = ""; // the same one may be chosen again
          }}
        />
      </div>
      {problem !== null && <p class="problem">{inWords(problem)}</p>}
      {record && status(record) && <p class="hint">{status(record)}</p>}
      {record?.faces.map((face, i) => <FaceCard key={i} face={face} index={i} />)}
      <Live person={name} />
    </section>
  );
}

/** Hand it out, and take it away: asked twice, for it cannot be had back. */
function Away(props: Pick<OneProps, "at" | "person"> & { gone: () => void }) {
  const { at } = props;
  const { name } = props.person;
  const [asked, setAsked] = useState(false);
  const [problem, setProblem] = useState<unknown>(null);
  const work = (what: Promise<unknown>) => {
    setProblem(null);
    return what.catch(setProblem);
  };
  return (
    <section class="card">
      <h2>{t("person.away")}</h2>
      <div class="row">
        <button
          onClick={() =>
            void work(at.exportPerson(name).then((zip) => save(zip, `${name}.zip`)))
          }
        >
          {t("person.export")}
        </button>
        {asked ? (
          <>
            <span>{t("person.delete.sure", { name })}</span>
            <button
              class="grave"
              onClick={() =>
                void work(
                  at.removePerson(name).then(() => {
                    if (place.value === "device" && whose.value === name) whose.value = "";
                    forget(`${place.value}/${name}`);
                    say(t("person.deleted", { name }));
                    props.gone();
                  }),
                )
              }
            >
              {t("person.delete.yes")}
            </button>
            <button onClick={() => setAsked(false)}>{t("person.delete.no")}</button>
          </>
        ) : (
          <button class="grave" onClick={() => setAsked(true)}>
            {t("person.delete")}
          </button>
        )}
      </div>
      {problem !== null && <p class="problem">{inWords(problem)}</p>}
    </section>
  );
}
