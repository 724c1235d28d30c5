/** Markdown as elements of the page: never as HTML, whatever stands in it. */

import { lexer, type Token, type Tokens } from "marked";
import type { ComponentChildren } from "preact";

const UNDER = 1; // headings stand under the view's own

export function Markdown(props: { text: string }) {
  return <>{blocks(lexer(props.text))}</>;
}

const blocks = (tokens: Token[]): ComponentChildren => tokens.map(block);

function block(token: Token, key: number): ComponentChildren {
  switch (token.type) {
    case "heading": {
      const heading = token as Tokens.Heading;
      const Level = `h${Math.min(6, heading.depth + UNDER)}` as "h2";
      return <Level key={key}>{inline(heading.tokens)}</Level>;
    }
    case "paragraph":
      return <p key={key}>{inline((token as Tokens.Paragraph).tokens)}</p>;
    case "list": {
      const items = (token as Tokens.List).items.map((item, i) => <li key={i}>{blocks(item.tokens)}</li>);
      return (token as Tokens.List).ordered ? <ol key={key}>{items}</ol> : <ul key={key}>{items}</ul>;
    }
    case "table":
      return <Table key={key} table={token as Tokens.Table} />;
    case "code":
      return (
        <pre key={key} tabIndex={0}>
          {(token as Tokens.Code).text}
        </pre>
      );
    case "blockquote":
      return <blockquote key={key}>{blocks((token as Tokens.Blockquote).tokens)}</blockquote>;
    case "text": {
      const text = token as Tokens.Text;
      return text.tokens ? inline(text.tokens) : text.text;
    }
    default:
      return null; // spaces, rules, HTML
  }
}

function Table(props: { table: Tokens.Table }) {
  const { header, rows } = props.table;
  return (
    <div class="scrolls" tabIndex={0} role="group" aria-label={header.map((one) => one.text).join(" ")}>
      <table class="plain">
        <thead>
          <tr>
            {header.map((one, i) =>
              one.text ? <th key={i} scope="col">{inline(one.tokens)}</th> : <td key={i} />,
            )}
          </tr>
        </thead>
        <tbody>
          {rows.map((row, i) => (
            <tr key={i}>
              {row.map((one, k) => (
                <td key={k}>{inline(one.tokens)}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function inline(tokens: Token[] = []): ComponentChildren {
  return tokens.map((token, key) => {
    switch (token.type) {
      case "strong":
        return <strong key={key}>{inline((token as Tokens.Strong).tokens)}</strong>;
      case "em":
        return <em key={key}>{inline((token as Tokens.Em).tokens)}</em>;
      case "codespan":
        return <code key={key}>{(token as Tokens.Codespan).text}</code>;
      case "link":
        return inline((token as Tokens.Link).tokens); // cards point at files that are not here
      case "br":
        return <br key={key} />;
      case "text":
      case "escape":
        return (token as Tokens.Text).text;
      default:
        return token.raw;
    }
  });
}
