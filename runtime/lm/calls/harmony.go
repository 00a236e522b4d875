package calls

import (
	"encoding/json"
	"strings"
)

// channels reads the answers of gpt-oss: messages on channels, each a head up to <|message|>, then a body up to a mark that
// ends it. analysis is reasoning, final is the answer, commentary to a function is a call of it. The prompt ends with
// <|start|>assistant.
type channels struct {
	sure   bool
	inBody bool
	head   string
	held   string
}

// ends of a message's body.
var harmonyEnds = []string{"<|end|>", "<|call|>", "<|return|>", "<|start|>"}

func (c *channels) Next(text string) (out []Piece) {
	c.held += text
	for {
		if !c.inBody {
			head, rest, found := strings.Cut(c.held, "<|message|>")
			if !found {
				return out
			}
			c.head, c.held, c.inBody = head, rest, true
			continue
		}
		at, mark := len(c.held), ""
		for _, e := range harmonyEnds {
			if i := strings.Index(c.held, e); i >= 0 && i < at {
				at, mark = i, e
			}
		}
		if mark == "" {
			if c.function() != "" { // a call is whole or none
				return out
			}
			for _, e := range harmonyEnds {
				at = min(at, len(c.held)-partial(c.held, e))
			}
			out = append(out, c.body(c.held[:at])...)
			c.held = c.held[at:]
			return out
		}
		out = append(out, c.body(c.held[:at])...)
		c.inBody, c.held = false, c.held[at+len(mark):]
	}
}

// function is the name of the function that the message is to; "" if it is to nobody.
func (c *channels) function() string {
	_, to, _ := strings.Cut(c.head, "to=functions.")
	if i := strings.IndexAny(to, " <"); i >= 0 {
		to = to[:i]
	}
	return to
}

// body is a part of a message's body, a call's whole one.
func (c *channels) body(text string) []Piece {
	if name := c.function(); name != "" {
		args, ok := object(json.RawMessage(text))
		if !ok && !c.sure { // a sure one was cut
			return plain(text)
		}
		return []Piece{{Call: &Call{name, args}}}
	}
	if strings.Contains(c.head, "analysis") {
		return reason(text)
	}
	return plain(text)
}

func (c *channels) End() []Piece {
	if c.inBody {
		return c.body(c.held)
	}
	if !strings.Contains(c.held, "<|") { // no messages at all
		return plain(c.held)
	}
	return nil
}
