package calls

import (
	"bytes"
	"encoding/json"
	"strings"
)

// jsonCalls reads {"name": .., "arguments": {..}}: one, several with semicolons or white space between, or a list. The
// arguments may be called parameters, and may be a text that holds the object.
func jsonCalls(body string) (list []Call, ok bool) { return namedCalls(body, "name") }

// namedCalls is jsonCalls with another key for the name.
func namedCalls(body, key string) (list []Call, ok bool) {
	for body = strings.TrimSpace(body); body != ""; {
		d := json.NewDecoder(strings.NewReader(body))
		var raw json.RawMessage
		if d.Decode(&raw) != nil {
			return nil, false
		}
		body = strings.TrimLeft(body[d.InputOffset():], "; \t\r\n")
		items := []json.RawMessage{raw}
		if raw[0] == '[' && json.Unmarshal(raw, &items) != nil {
			return nil, false
		}
		for _, item := range items {
			var v map[string]json.RawMessage
			var name string
			if json.Unmarshal(item, &v) != nil || json.Unmarshal(v[key], &name) != nil || name == "" {
				return nil, false
			}
			args := v["arguments"]
			if args == nil {
				args = v["parameters"]
			}
			text, ok := object(args)
			if !ok {
				return nil, false
			}
			list = append(list, Call{name, text})
		}
	}
	return list, true
}

// mistralCalls reads a list as jsonCalls does, or name[ARGS]{..} and name{..}, as newer models write it.
func mistralCalls(body string) (list []Call, ok bool) {
	if strings.HasPrefix(body, "[{") || strings.HasPrefix(body, "{") {
		return jsonCalls(body)
	}
	for part := range strings.SplitSeq(body, "[TOOL_CALLS]") {
		at := strings.IndexByte(part, '{')
		if at < 0 {
			return nil, false
		}
		name, _, _ := strings.Cut(strings.TrimSuffix(strings.TrimSpace(part[:at]), "[ARGS]"), "[CALL_ID]")
		args, ok := object(json.RawMessage(part[at:]))
		if name = strings.TrimSpace(name); !ok || name == "" {
			return nil, false
		}
		list = append(list, Call{name, args})
	}
	return list, true
}

// object is a call's arguments as a JSON object: nothing is an empty one, a text may hold it.
func object(raw json.RawMessage) (string, bool) {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || string(raw) == "null" {
		return "{}", true
	}
	var text string
	if json.Unmarshal(raw, &text) == nil {
		raw = json.RawMessage(strings.TrimSpace(text))
		if len(raw) == 0 {
			return "{}", true
		}
	}
	return string(raw), raw[0] == '{' && json.Valid(raw)
}

// pairs writes an object of keys and values, in their order.
type pairs struct{ b strings.Builder }

// add takes a value that is JSON as it is, any other, or one that is a text, as a text.
func (p *pairs) add(key, value string, text bool) {
	if p.b.Len() > 0 {
		p.b.WriteByte(',')
	}
	p.b.WriteString(quote(key) + ":")
	if !text && json.Valid([]byte(value)) {
		p.b.WriteString(strings.TrimSpace(value))
	} else {
		p.b.WriteString(quote(value))
	}
}

func (p *pairs) String() string { return "{" + p.b.String() + "}" }

// quote writes a text as JSON, without escapes for HTML.
func quote(s string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if e.Encode(s) != nil {
		return `""` // of no string
	}
	return strings.TrimSuffix(b.String(), "\n")
}
