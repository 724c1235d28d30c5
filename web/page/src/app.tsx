/** The frame of every view: where one is, where faces are read, in which words, and the notice. */

import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { cameraIsOn } from "./camera";
import { state } from "./device";
import { LiveRegion } from "./live-region";
import { newer, offline } from "./offline";
import { view, VIEWS, type View } from "./route";
import { away } from "./service";
import { key, keyNeeded, place, type Place } from "./settings";
import { AboutView } from "./views/about";
import { FilmView } from "./views/film";
import { LiveView } from "./views/live";
import { ModelsView } from "./views/models";
import { PersonView } from "./views/person";
import { PictureView } from "./views/picture";
import { RulesView } from "./views/rules";
import { Whose } from "./views/whose";
import { isRightToLeft, language, LANGUAGES, t, type Language, type Word } from "./words";

const SHOWN: Record<View, () => preact.JSX.Element> = {
  picture: PictureView,
  live: LiveView,
  film: FilmView,
  person: PersonView,
  rules: RulesView,
  models: ModelsView,
  about: AboutView,
};

/** The views in which somebody's own recogniser may read on this device. */
const READS: View[] = ["picture", "live", "film"];

export function App() {
  const Shown = SHOWN[view.value];
  const heading = useRef<HTMLHeadingElement>(null);
  const first = useRef(true);
  const title = t(`nav.${view.value}` as Word);
  // With the words and before anything is painted: Arabic is never shown from left to right.
  useLayoutEffect(() => {
    document.documentElement.lang = language.value;
    document.documentElement.dir = isRightToLeft() ? "rtl" : "ltr";
    document.title = `${title} – mien`;
  }, [language.value, title]);
  useEffect(() => {
    // A view that was gone to is where the keyboard goes on, as it is after a link.
    if (!first.current) heading.current?.focus();
    first.current = false;
  }, [view.value]);
  return (
    <>
      <Header skip={() => heading.current?.focus()} />
      <main>
        <h1 ref={heading} tabIndex={-1}>
          {title}
        </h1>
        <Banners />
        <Shown />
      </main>
      <Notice />
    </>
  );
}

function Header(props: { skip: () => void }) {
  return (
    <header>
      <button class="skip" onClick={props.skip}>
        {t("app.skip")}
      </button>
      <div class="brand">
        <img src="./icon.svg" alt="" width="32" height="32" />
        <span>mien</span>
      </div>
      <nav aria-label={t("nav.label")}>
        {VIEWS.map((name) => (
          <a key={name} href={`#${name}`} aria-current={view.value === name ? "page" : undefined}>
            {t(`nav.${name}` as Word)}
          </a>
        ))}
      </nav>
      <div class="choices">
        <PlaceSwitch />
        <label class="language">
          <span class="unseen">{t("app.language")}</span>
          <select
            value={language.value}
            onChange={(event) => (language.value = event.currentTarget.value as Language)}
          >
            {Object.entries(LANGUAGES).map(([tag, name]) => (
              <option key={tag} value={tag} lang={tag}>
                {name}
              </option>
            ))}
          </select>
        </label>
      </div>
    </header>
  );
}

function PlaceSwitch() {
  const choose = (to: Place) => (place.value = to);
  return (
    <fieldset class="switch">
      <legend class="unseen">{t("place.label")}</legend>
      {(["device", "service"] as const).map((name) => (
        <label key={name}>
          <input
            type="radio"
            name="place"
            checked={place.value === name}
            onChange={() => choose(name)}
          />
          <span>{t(`place.${name}`)}</span>
        </label>
      ))}
    </fieldset>
  );
}

/** What holds for every view: where pictures go, and what is in the way. */
function Banners() {
  const onDevice = place.value === "device";
  const keeps = view.value === "film" || view.value === "person";
  const sent = keeps ? "place.service.kept" : "place.service.note";
  const stays = view.value === "person" ? "place.device.kept" : "place.device.note";
  return (
    <>
      <p class="place-note">
        {onDevice ? t(stays) : t(sent, { host: location.host })}
        {onDevice && state.value === "loading" && ` ${t("device.loading")}`}
      </p>
      {newer.value && (
        <p class="banner">
          {t("app.newer")} <button onClick={() => location.reload()}>{t("app.reload")}</button>
        </p>
      )}
      {!onDevice && (offline.value || away.value) && <p class="banner">{t("service.away")}</p>}
      {keyNeeded.value && (!onDevice || view.value === "models") && <KeyForm />}
      {onDevice && READS.includes(view.value) && <Whose key={view.value} />}
    </>
  );
}

function KeyForm() {
  const field = useRef<HTMLInputElement>(null);
  const use = (event: Event) => {
    event.preventDefault();
    key.value = field.current!.value.trim();
    keyNeeded.value = false;
  };
  return (
    <form class="banner" onSubmit={use}>
      <label>
        {t("service.key")}
        <input ref={field} type="password" autocomplete="off" required pattern="[\w.~+\-]+" />
      </label>
      <button>{t("service.key.use")}</button>
    </form>
  );
}

/** Always in sight: what is done here, and whether the camera looks. */
function Notice() {
  return (
    <footer>
      <span class={cameraIsOn.value ? "camera on" : "camera"}>
        <span class="lamp" aria-hidden="true" />
        {cameraIsOn.value ? t("camera.on") : t("camera.off")}
      </span>
      <p>
        {t("notice")} <a href="#about">{t("notice.more")}</a>
      </p>
      <LiveRegion />
    </footer>
  );
}
