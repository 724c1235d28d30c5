/** Where the page begins. */

import { render } from "preact";
import { App } from "./app";
import * as device from "./device";
import { keepFilesFromReplacingThePage } from "./drop";
import { keepOffline } from "./offline";
import { place } from "./settings";

keepFilesFromReplacingThePage();
render(<App />, document.getElementById("page")!);
// The networks are read while somebody looks for a picture; what goes wrong is told with that. Only
// then is all of it kept for later: both at once would have the first picture wait for the second.
const awake = place.peek() === "device" ? device.wake() : Promise.resolve();
awake.catch(() => undefined).finally(keepOffline);
