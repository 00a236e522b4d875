package calls

import (
	"encoding/json"
	"strconv"
	"strings"
)

// pythonLines reads calls of a line each.
func pythonLines(body string) (list []Call, ok bool) {
	for line := range strings.Lines(body) {
		if strings.TrimSpace(line) == "" {
			continue
		}
		more, ok := pythonCalls(line)
		if !ok {
			return nil, false
		}
		list = append(list, more...)
	}
	return list, true
}

// pythonCalls reads [f(a=1, b="x"), g()].
func pythonCalls(body string) (list []Call, ok bool) {
	p := &python{strings.TrimSpace(body)}
	listed := p.take("[")
	for {
		name := p.name()
		if name == "" || !p.take("(") {
			return nil, false
		}
		var args pairs
		for !p.take(")") {
			key := p.name()
			if key == "" || !p.take("=") {
				return nil, false
			}
			value, ok := p.value(0)
			if !ok {
				return nil, false
			}
			args.add(key, value, false)
			if !p.take(",") && !strings.HasPrefix(p.rest, ")") {
				return nil, false
			}
		}
		list = append(list, Call{name, args.String()})
		if !p.take(",") {
			break
		}
	}
	if listed && !p.take("]") {
		return nil, false
	}
	return list, p.rest == ""
}

// python reads Python's literals and writes them as JSON.
type python struct{ rest string }

func (p *python) take(s string) (ok bool) {
	p.rest, ok = strings.CutPrefix(strings.TrimLeft(p.rest, " \t\n"), s)
	p.rest = strings.TrimLeft(p.rest, " \t\n")
	return ok
}

func (p *python) name() string {
	n := strings.IndexFunc(p.rest, func(r rune) bool {
		return !(r == '_' || r == '.' || r == '-' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r > 127)
	})
	if n < 0 {
		n = len(p.rest)
	}
	name := p.rest[:n]
	p.rest = strings.TrimLeft(p.rest[n:], " \t\n")
	return name
}

func (p *python) value(depth int) (string, bool) {
	if depth > 64 || p.rest == "" {
		return "", false
	}
	switch c := p.rest[0]; c {
	case '"', '\'':
		return p.text(c)
	case '[', '(':
		return p.list(depth)
	case '{':
		return p.dict(depth)
	}
	word := p.name()
	if strings.HasPrefix(p.rest, "+") && strings.HasSuffix(strings.ToLower(word), "e") { // 1e+5
		p.rest = p.rest[1:]
		word += "+" + p.name()
	}
	switch word {
	case "True", "true":
		return "true", true
	case "False", "false":
		return "false", true
	case "None", "null":
		return "null", true
	}
	return word, json.Valid([]byte(word))
}

func (p *python) text(quoteMark byte) (string, bool) {
	var b strings.Builder
	s := p.rest[1:]
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == quoteMark:
			p.rest = strings.TrimLeft(s[i+1:], " \t\n")
			return quote(b.String()), true
		case c == '\\' && i+1 < len(s):
			r, _, tail, err := strconv.UnquoteChar(s[i:], quoteMark)
			if err != nil { // Python leaves the backslash
				b.WriteByte('\\')
				continue
			}
			b.WriteRune(r)
			i = len(s) - len(tail) - 1
		default:
			b.WriteByte(c)
		}
	}
	return "", false
}

func (p *python) list(depth int) (string, bool) {
	end := map[byte]string{'[': "]", '(': ")"}[p.rest[0]]
	p.take(p.rest[:1])
	var items []string
	for !p.take(end) {
		v, ok := p.value(depth + 1)
		if !ok || !p.take(",") && !strings.HasPrefix(p.rest, end) {
			return "", false
		}
		items = append(items, v)
	}
	return "[" + strings.Join(items, ",") + "]", true
}

func (p *python) dict(depth int) (string, bool) {
	p.take("{")
	var items []string
	for !p.take("}") {
		if p.rest == "" || p.rest[0] != '"' && p.rest[0] != '\'' {
			return "", false
		}
		k, ok1 := p.text(p.rest[0])
		ok2 := p.take(":")
		v, ok3 := p.value(depth + 1)
		if !ok1 || !ok2 || !ok3 || !p.take(",") && !strings.HasPrefix(p.rest, "}") {
			return "", false
		}
		items = append(items, k+":"+v)
	}
	return "{" + strings.Join(items, ",") + "}", true
}
