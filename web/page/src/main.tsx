/** Where the page begins. */

import { render } from "preact";
import { App } from "./app";
import * as device from "./device";
import { keepOffline } from "./offline";
import { place } from "./settings";

render(<App />, document.getElementById("page")!);
keepOffline();
// The networks are read while somebody looks for a picture; what goes wrong is told with that.
if (place.peek() === "device") device.wake().catch(() => undefined);
