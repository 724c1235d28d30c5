/** Rules, tried out on the camera: it sounds and speaks when a rule would be an alarm. */

import { useEffect, useMemo, useState } from "preact/hooks";
import { saveText } from "../files";
import { say } from "../live-region";
import { people } from "../people";
import type { PictureRecord } from "../record";
import { toml, Watch, type Rule, type State } from "../rules";
import type { Person } from "../service";
import { place } from "../settings";
import { label, language, number, percent, t } from "../words";
import { Live } from "./live";

const LABELS = ["happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt"];
const BAND = 0.15; // between showing and being over, to begin with
const HZ = 880;
const BEEP_S = 0.4;

const SHOWN: Record<State, string> = { quiet: "", shows: "shows", alarm: "sounds" };

interface Heard {
  state: State;
  level: number;
  count: number;
}

export function RulesView() {
  const [wanted, setWanted] = useState<Rule>({
    when: "happiness",
    above: 0.6,
    release: 0.45,
    holdS: 1,
    say: "",
  });
  const [sounds, setSounds] = useState(true);
  const [speaks, setSpeaks] = useState(true);
  const [heard, setHeard] = useState<Heard>({ state: "quiet", level: 0, count: 0 });
  const [chosen, setChosen] = useState("");
  const persons = usePersons();
  const own = persons.find((one) => one.name === chosen); // the other place knows others
  const person = own?.name ?? "";
  const labels = own ? Object.keys(own.samples) : LABELS;
  const rule = labels.includes(wanted.when) ? wanted : { ...wanted, when: labels[0] };
  const watch = useMemo(() => new Watch(rule), Object.values(rule));
  const text = rule.say || label(rule.when);
  const hear = (record: PictureRecord) => {
    const begins = watch.hear(record);
    const { state, level } = watch;
    setHeard(({ count }) => ({ state, level, count: count + Number(begins) }));
    if (!begins) return;
    if (sounds) beep();
    if (speaks) speak(text);
    say(t("rules.alarm", { text }));
  };
  const set = (changes: Partial<Rule>) => setWanted({ ...rule, ...changes });
  return (
    <>
      <p class="hint">{t("rules.hint")}</p>
      <section class="card" aria-label={t("nav.rules")}>
        <div class="row">
          {persons.length > 0 && (
            <label class="field">
              {t("rules.whose")}{" "}
              <select
                value={person}
                onChange={(event) => setChosen(event.currentTarget.value)}
              >
                <option value="">{t("rules.everybody")}</option>
                {persons.map((one) => (
                  <option key={one.name}>{one.name}</option>
                ))}
              </select>
            </label>
          )}
          <label class="field">
            {t("rules.when")}{" "}
            <select value={rule.when} onChange={(event) => set({ when: event.currentTarget.value })}>
              {labels.map((name) => (
                <option key={name} value={name}>
                  {label(name)}
                </option>
              ))}
            </select>
          </label>
          <Level
            word="rules.above"
            value={rule.above}
            set={(above) => set({ above, release: Math.max(0.05, round(above - BAND)) })}
          />
          <Level
            word="rules.release"
            value={rule.release}
            set={(release) => set({ release: Math.min(release, rule.above) })}
          />
          <label class="field">
            {t("rules.hold")}{" "}
            <select
              value={rule.holdS}
              onChange={(event) => set({ holdS: Number(event.currentTarget.value) })}
            >
              {[0.5, 1, 2, 5].map((one) => (
                <option key={one} value={one}>
                  {number(one, one < 1 ? 1 : 0)}
                </option>
              ))}
            </select>
          </label>
          <label class="field">
            {t("rules.say")}{" "}
            <input
              value={rule.say}
              maxLength={200}
              onInput={(event) => set({ say: event.currentTarget.value })}
            />
          </label>
        </div>
        <div class="row">
          <label class="toggle">
            <input type="checkbox" checked={sounds} onChange={() => setSounds(!sounds)} />
            <span>{t("rules.sounds")}</span>
          </label>
          <label class="toggle">
            <input type="checkbox" checked={speaks} onChange={() => setSpeaks(!speaks)} />
            <span>{t("rules.speaks")}</span>
          </label>
          <button
            onClick={() => {
              const file = toml(rule, own ? labels : []);
              saveText(file, "rules.toml", "application/toml");
            }}
          >
            {t("rules.save")}
          </button>
        </div>
        <p class={`alarm ${SHOWN[heard.state]}`} data-testid="alarm">
          <strong>{heard.state === "alarm" ? text : t(`state.${heard.state}`)}</strong>{" "}
          <span class="figure">{percent(heard.level)}</span>{" "}
          <span class="soft">{t("rules.count", { n: number(heard.count) })}</span>
        </p>
        {!watch.knows && (
          <p class="problem">{t("rules.unknown", { what: label(rule.when) })}</p>
        )}
      </section>
      <Live person={person} heard={hear} />
    </>
  );
}

/** Whoever has a recogniser of their own, where the service may be asked. */
function usePersons(): Person[] {
  const [persons, setPersons] = useState<Person[]>([]);
  const where = place.value;
  useEffect(() => {
    people(where)
      .persons()
      .then(
        (found) => setPersons(found.filter((one) => one.recogniser.length > 0)),
        () => setPersons([]),
      );
  }, [where]);
  return persons;
}

const round = (value: number) => Math.round(value * 100) / 100;

function Level(props: {
  word: "rules.above" | "rules.release";
  value: number;
  set: (value: number) => void;
}) {
  return (
    <label class="field">
      {t(props.word)}{" "}
      <input
        type="range"
        min="0.05"
        max="0.95"
        step="0.05"
        value={props.value}
        aria-valuetext={percent(props.value)}
        onInput={(event) => props.set(Number(event.currentTarget.value))}
      />
      <span class="figure">{percent(props.value)}</span>
    </label>
  );
}

function beep(): void {
  const context = new AudioContext();
  const tone = context.createOscillator();
  tone.frequency.value = HZ;
  tone.connect(context.destination);
  tone.onended = () => void context.close();
  tone.start();
  tone.stop(context.currentTime + BEEP_S);
}

function speak(text: string): void {
  const spoken = new SpeechSynthesisUtterance(text);
  spoken.lang = language.value;
  speechSynthesis?.speak(spoken);
}
