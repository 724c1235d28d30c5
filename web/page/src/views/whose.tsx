/** Whose recogniser reads on this device: the general model, or somebody's own that is kept here. */

import { useEffect, useState } from "preact/hooks";
import { whose } from "../settings";
import { recogniserNames } from "../store";
import { t } from "../words";

export function Whose() {
  const [names, setNames] = useState<string[]>([]);
  useEffect(() => {
    const look = async () => {
      const known = await recogniserNames();
      setNames(known);
      if (!known.includes(whose.value)) whose.value = "";
    };
    look().catch(() => (whose.value = "")); // storage is refused: nobody's is kept here
  }, []);
  if (!names.length) return null;
  return (
    <p class="row">
      <label class="field">
        {t("whose.label")}{" "}
        <select value={whose.value} onChange={(event) => (whose.value = event.currentTarget.value)}>
          <option value="">{t("whose.general")}</option>
          {names.map((name) => (
            <option key={name}>{name}</option>
          ))}
        </select>
      </label>
    </p>
  );
}
