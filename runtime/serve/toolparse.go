package serve

import (
	"encoding/json"
	"errors"
	"strings"
)

// toolFormat is how a family of models writes calls of tools in an answer. A further one is a line in toolFormats.
type toolFormat struct {
	name        string
	template    []string // words of a chat template that tell it, all of them
	open, close string   // round a call or calls; close "" is the end of the answer
	special     bool     // open is a special token, which texts do not show otherwise
	bare        string   // an answer that begins so is a call without open
	parse       func(body string) ([]madeCall, error)
}

var toolFormats = []toolFormat{
	{name: "qwen3-coder", template: []string{"<tool_call>", "<function="}, open: "<tool_call>", close: "</tool_call>", parse: parseXMLCall},
	{name: "hermes", template: []string{"<tool_call>"}, open: "<tool_call>", close: "</tool_call>", parse: parseJSONCalls},
	{name: "mistral", template: []string{"[TOOL_CALLS]"}, open: "[TOOL_CALLS]", special: true, parse: parseMistralCalls},
	{name: "granite", template: []string{"<|tool_call|>"}, open: "<|tool_call|>", special: true, parse: parseJSONCalls},
	{name: "llama3", template: []string{"ipython"}, open: "<|python_tag|>", special: true, bare: `{"name":`, parse: parseJSONCalls},
}

// toolFormat is that of the model's family, nil if it is not known.
func (m *model) toolFormat() *toolFormat {
	for i := range toolFormats {
		f, all := &toolFormats[i], true
		for _, word := range f.template {
			all = all && m.template(word)
		}
		if all {
			return f
		}
	}
	return nil
}

// caller finds calls of tools in an answer. What looks like one and is none stays text.
type caller struct {
	format *toolFormat
	inside bool
	bare   bool // inside of a call without open
	began  bool
	trim   bool // leave out line ends: they follow a call
	held   string
}

func (c *caller) next(text string) (out []piece) {
	c.held += text
	for {
		switch {
		case c.inside && c.format.close == "":
			return out
		case c.inside:
			body, rest, found := strings.Cut(c.held, c.format.close)
			if !found {
				return out
			}
			out = append(out, c.calls(body, c.format.open+body+c.format.close)...)
			c.inside, c.trim, c.held = false, true, rest
		case !c.began && c.format.bare != "" && strings.HasPrefix(strings.TrimSpace(c.held), c.format.bare):
			c.inside, c.bare, c.began = true, true, true
			return out
		case !c.began && c.format.bare != "" && strings.HasPrefix(c.format.bare, strings.TrimSpace(c.held)):
			return out
		default:
			if c.trim {
				c.held = strings.TrimLeft(c.held, "\n")
				c.trim = c.held == ""
			}
			before, rest, found := strings.Cut(c.held, c.format.open)
			if !found {
				n := len(c.held) - partial(c.held, c.format.open)
				before, c.held = c.held[:n], c.held[n:]
			}
			if before != "" {
				c.began = true
				out = append(out, piece{text: before})
			}
			if !found {
				return out
			}
			c.inside, c.held, c.began = true, rest, true
		}
	}
}

func (c *caller) end() []piece {
	switch {
	case c.inside && c.bare:
		return c.calls(c.held, c.held)
	case c.inside:
		return c.calls(c.held, c.format.open+c.held)
	case c.held != "":
		return []piece{{text: c.held}}
	}
	return nil
}

// calls are those of a body; whole is the text that it was, should it be none.
func (c *caller) calls(body, whole string) (out []piece) {
	list, err := c.format.parse(strings.TrimSpace(body))
	if err != nil || len(list) == 0 {
		return []piece{{text: whole}}
	}
	for i := range list {
		out = append(out, piece{call: &list[i]})
	}
	return out
}

var errNoCall = errors.New("no call of a tool")

// parseJSONCalls reads {"name": .., "arguments": {..}}, also with parameters, one, several with semicolons or white
// space between, or a list of them.
func parseJSONCalls(body string) (list []madeCall, err error) {
	for body = strings.TrimSpace(body); body != ""; {
		d := json.NewDecoder(strings.NewReader(body))
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return nil, err
		}
		body = strings.TrimLeft(body[d.InputOffset():], "; \t\r\n")
		items := []json.RawMessage{raw}
		if raw[0] == '[' {
			if err := json.Unmarshal(raw, &items); err != nil {
				return nil, err
			}
		}
		for _, item := range items {
			var v struct{ Name, Arguments, Parameters json.RawMessage }
			var name string
			if json.Unmarshal(item, &v) != nil || json.Unmarshal(v.Name, &name) != nil || name == "" {
				return nil, errNoCall
			}
			args := v.Arguments
			if args == nil {
				args = v.Parameters
			}
			var text string // some write the object as a text
			switch {
			case args == nil:
				text = "{}"
			case json.Unmarshal(args, &text) != nil:
				text = string(args)
			}
			list = append(list, madeCall{name, text})
		}
	}
	return list, nil
}

// parseMistralCalls reads a list as parseJSONCalls does, or name[ARGS]{..} and name{..}, as newer models write it.
func parseMistralCalls(body string) (list []madeCall, err error) {
	if strings.HasPrefix(body, "[") {
		return parseJSONCalls(body)
	}
	for part := range strings.SplitSeq(body, "[TOOL_CALLS]") {
		name, args, found := strings.Cut(strings.TrimSpace(part), "[ARGS]")
		if !found {
			i := strings.IndexByte(part, '{')
			if i < 0 {
				return nil, errNoCall
			}
			name, args = part[:i], part[i:]
		}
		if name = strings.TrimSpace(name); name == "" || !json.Valid([]byte(args)) {
			return nil, errNoCall
		}
		list = append(list, madeCall{name, args})
	}
	return list, nil
}

// parseXMLCall reads <function=name><parameter=key>value</parameter>..</function>. A value that is JSON counts as
// such, else as a text.
func parseXMLCall(body string) ([]madeCall, error) {
	name, rest, ok := strings.Cut(strings.TrimPrefix(body, "<function="), ">")
	if !ok || !strings.HasPrefix(body, "<function=") || name == "" {
		return nil, errNoCall
	}
	rest, _, ok = strings.Cut(rest, "</function>")
	if !ok {
		return nil, errNoCall
	}
	args := []byte{'{'}
	for {
		_, after, more := strings.Cut(rest, "<parameter=")
		if !more {
			break
		}
		key, after, ok1 := strings.Cut(after, ">")
		value, after, ok2 := strings.Cut(after, "</parameter>")
		if !ok1 || !ok2 {
			return nil, errNoCall
		}
		if len(args) > 1 {
			args = append(args, ',')
		}
		k, _ := json.Marshal(key)
		value = strings.TrimSuffix(strings.TrimPrefix(value, "\n"), "\n")
		v := []byte(value)
		if !json.Valid(v) {
			v, _ = json.Marshal(value)
		}
		args, rest = append(append(append(args, k...), ':'), v...), after
	}
	return []madeCall{{name, string(append(args, '}'))}}, nil
}
