/** What an expression can and cannot tell, and what is done with pictures here. */

import { useEffect, useState } from "preact/hooks";
import * as service from "../service";
import { t, type Word } from "../words";

const PARTS: [Word, Word[]][] = [
  ["about.feeling", ["about.feeling.1", "about.feeling.2"]],
  ["about.numbers", ["about.numbers.1", "about.numbers.2", "about.numbers.3", "about.numbers.4"]],
  ["about.not", ["about.not.1", "about.not.2", "about.not.3"]],
  ["about.law", ["about.law.1", "about.law.2", "about.law.3"]],
  ["about.pictures", ["about.pictures.1", "about.pictures.2", "about.pictures.3"]],
];

export function AboutView() {
  const [version, setVersion] = useState("");
  useEffect(() => {
    service.version().then(setVersion, () => setVersion(""));
  }, []);
  return (
    <div class="prose">
      {PARTS.map(([title, points]) => (
        <section key={title} class="card">
          <h2>{t(title)}</h2>
          <ul>
            {points.map((point) => (
              <li key={point}>{t(point)}</li>
            ))}
          </ul>
        </section>
      ))}
      {version && <p class="soft">{t("about.version", { version })}</p>}
    </div>
  );
}
