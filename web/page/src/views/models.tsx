/** Models: what there is, under what terms, and what each says of itself. */

import { useEffect, useState } from "preact/hooks";
import { Markdown } from "../markdown";
import { inWords } from "../problem";
import * as service from "../service";
import { key } from "../settings";
import { t, type Word } from "../words";

export function ModelsView() {
  const [models, setModels] = useState<service.Model[]>([]);
  const [chosen, setChosen] = useState("mien");
  const [card, setCard] = useState("");
  // One each: a card that comes says nothing of a list that did not.
  const [withList, setWithList] = useState<unknown>(null);
  const [withCard, setWithCard] = useState<unknown>(null);
  const problem = withList ?? withCard;
  // A service that comes back, or is given a key, is asked again.
  const asked = [service.away.value, key.value];
  useEffect(() => {
    service.models().then((found) => {
      setModels(found);
      setWithList(null);
    }, setWithList);
  }, asked);
  useEffect(() => {
    let wanted = true;
    setCard("");
    service.card(chosen).then(
      (found) => {
        if (!wanted) return;
        setCard(found);
        setWithCard(null);
      },
      (err: unknown) => wanted && setWithCard(err),
    );
    return () => {
      wanted = false;
    };
  }, [chosen, ...asked]);
  const here = models.filter((model) => model.here);
  return (
    <>
      <p class="hint">{t("models.hint")}</p>
      {problem !== null && <p class="problem">{inWords(problem)}</p>}
      {here.length > 0 && (
        <div class="scrolls" tabIndex={0} role="group" aria-label={t("nav.models")}>
          <table class="plain">
            <thead>
              <tr>
                <th scope="col">{t("models.name")}</th>
                <th scope="col">{t("models.kind")}</th>
                <th scope="col">{t("models.licence")}</th>
                <th scope="col">{t("models.commercial")}</th>
              </tr>
            </thead>
            <tbody>
              {here.map((model) => (
                <tr key={model.name}>
                  <th scope="row">
                    <button
                      class="plain"
                      aria-pressed={model.name === chosen}
                      onClick={() => setChosen(model.name)}
                    >
                      {model.name}
                    </button>
                  </th>
                  <td>{t(`kind.${model.kind}` as Word)}</td>
                  <td lang="en">
                    <bdi>{model.licence}</bdi>
                  </td>
                  <td>{t(`commercial.${model.commercial}` as Word)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {card && (
        <article class="card prose" lang="en" dir="ltr">
          <Markdown text={card} />
        </article>
      )}
    </>
  );
}
