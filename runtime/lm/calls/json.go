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

// add takes a value that is JSON as it is, any other as a text.
func (p *pairs) add(key, value string) {
	if p.b.Len() > 0 {
		p.b.WriteByte(',')
	}
	p.b.WriteString(quote(key) + ":")
	if json.Valid([]byte(value)) {
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

// tagged reads <open NAME> .. pairs .. </close>, as several families write calls: head and tail stand round the name,
// then each key and value stand between their marks.
type tagged struct{ head, nameEnd, tail, key, keyEnd, value, valueEnd string }

func (t tagged) calls(body string) (list []Call, ok bool) {
	for {
		at := strings.Index(body, t.head)
		if at < 0 {
			return list, strings.TrimSpace(body) == ""
		}
		if strings.TrimSpace(body[:at]) != "" {
			return nil, false
		}
		name, rest, ok1 := strings.Cut(body[at+len(t.head):], t.nameEnd)
		inner, after, ok2 := strings.Cut(rest, t.tail)
		if name = strings.Trim(strings.TrimSpace(name), `"`); !ok1 || !ok2 || name == "" {
			return nil, false
		}
		args, ok := t.arguments(inner)
		if !ok {
			return nil, false
		}
		list = append(list, Call{name, args})
		body = after
	}
}

// arguments reads the keys and values.
func (t tagged) arguments(inner string) (string, bool) {
	var args pairs
	for {
		_, rest, more := strings.Cut(inner, t.key)
		if !more {
			return args.String(), true
		}
		key, rest, ok1 := strings.Cut(rest, t.keyEnd)
		_, rest, ok2 := cutAfter(rest, t.value)
		value, rest, ok3 := strings.Cut(rest, t.valueEnd)
		if !ok1 || !ok2 || !ok3 {
			return "", false
		}
		args.add(strings.Trim(strings.TrimSpace(key), `"`), strings.TrimSuffix(strings.TrimPrefix(value, "\n"), "\n"))
		inner = rest
	}
}

// cutAfter is strings.Cut, but finds "" at once.
func cutAfter(s, sep string) (before, after string, found bool) {
	if sep == "" {
		return "", s, true
	}
	return strings.Cut(s, sep)
}
