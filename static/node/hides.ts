// Whether peers may know the network address of this browser: to be seen and to be changed on the node's own page.
import { counts } from "./still.ts";

/** Shows what is in force. `choose` hears what the person changes. */
export function showHides(hides: boolean, choose: (hides: boolean) => void): void {
  const control = document.querySelector<HTMLInputElement>("input[data-hides]");
  if (!control) return;
  control.checked = hides;
  control.disabled = false;
  control.onclick = (event: Event) => void (counts() || event.preventDefault());
  control.onchange = () => choose(control.checked);
}
