/** The manual page vtepctl(8), in man(7), made from the grammar. */
import { LINK_TYPES } from "./grammar/link-types.ts";
import { OBJECTS } from "./grammar/objects.ts";
import { OPTIONS, type Option } from "./grammar/options.ts";
import { objectLines, optionText } from "./help.ts";
import { wordText } from "./type-words.ts";

/** Text as roff takes it: hyphens that can be copied, no requests by accident. */
const escaped = (text: string): string =>
  text
    .replaceAll("\\", "\\e")
    .replaceAll("-", "\\-")
    .replace(/^([.'])/gm, "\\&$1");

/** An argument of a request. */
const quoted = (text: string): string => `"${escaped(text).replaceAll('"', '""')}"`;

const tagged = (tag: string, text: string): string => `.TP\n.B ${quoted(tag)}\n${escaped(text)}\n`;

const options = (): string => OPTIONS.map((option: Option) => tagged(optionText(option), option.summary)).join("");

const objects = (): string =>
  OBJECTS.map((object) => {
    const { name, summary, verbs } = object;
    const lines = objectLines(object).map((line) => `.HP\n${escaped(line)}\n`);
    const reasons = new Map(verbs.flatMap(({ refused = {} }) => Object.entries(refused)));
    const without = [...reasons].map(([word, reason]) => tagged(word, reason)).join("");
    return `.SS ${quoted(`${name} - ${summary}`)}\n${lines.join("")}${without === "" ? "" : `.PP\nRefused:\n${without}`}`;
  }).join("");

const types = (): string =>
  LINK_TYPES.map(({ name, words }) => {
    const accepted = words.filter(({ refused }) => refused === undefined).map((word) => `[ ${wordText(word)} ]`);
    const without = words
      .map(({ names, refused }) => (refused === undefined ? "" : tagged(names[0]!, refused)))
      .join("");
    const refused = without === "" ? "" : `.PP\nRefused:\n${without}`;
    return `.SS ${quoted(`type ${name}`)}\n${escaped(accepted.join("\n"))}\n${refused}`;
  }).join("");

export const manualPage = (): string => `.\\" Written by \`npm run generate\` from the grammar of vtepctl.
.TH VTEPCTL 8 "" vtepd "vtepd"
.SH NAME
vtepctl \\- tunnels of vtepd in the words of ip and bridge
.SH SYNOPSIS
.B vtepctl
[
.I OPTIONS
]
.I OBJECT
{
.I COMMAND
|
.B help
}
.SH DESCRIPTION
Asks a running vtepd over its control socket, in the grammar, the text and the JSON of iproute2.
Objects and commands may be shortened as long as they are unique, words of a type as iproute2 shortens them.
Tunnels that are made here belong to whoever made them; those of the configuration file are changed there, and with
.BR "vtepctl config reload" .
.SH OPTIONS
${options()}.SH COMMANDS
${objects()}.SH TYPES
What may stand behind
.B type
in
.B link add
and
.BR "link set" ,
and among the words of
.BR tunnel .
A vxlan tunnel without
.B dstport
takes UDP port 8472, as Linux does; in the configuration file the default is 4789.
${types()}.SH "EXIT STATUS"
0 done, 1 wrong command line or a batch that failed, 2 refused by the daemon or by the kernel, or no daemon.
.SH ENVIRONMENT
${tagged("VTEPD_SOCKET", "Path of the control socket, where -socket does not name one.")}${tagged(
  "VTEPD_NO_START",
  "1: ip, bridge and brctl start no daemon when none answers.",
)}${tagged("VTEPD_HOME", "Number of a process, in whose network and mount namespaces such a daemon lives; else those of process 1.")}.SH FILES
${tagged("/run/vtepd/control.sock", "The control socket.")}.SH "SEE ALSO"
.BR ip (8),
.BR ip\\-link (8),
.BR ip\\-tunnel (8),
.BR bridge (8)
`;
