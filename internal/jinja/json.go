package jinja

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
)

// maxJSON bounds the nesting of values that FromJSON reads.
const maxJSON = 100

// FromJSON reads one JSON value as Python's json.loads does: objects keep the
// order of their keys, numbers are int or float as they are written. Whole
// numbers that do not fit 64 bits are errors.
func FromJSON(data []byte) (any, error) {
	if !json.Valid(data) {
		return nil, json.Unmarshal(data, new(any))
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	return decode(d, maxJSON)
}

// decode reads a value of a document whose syntax is good.
func decode(d *json.Decoder, depth int) (any, error) {
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch v := t.(type) {
	case json.Number:
		if strings.ContainsAny(v.String(), ".eE") {
			f, _ := v.Float64() // too large is infinite, as in Python
			return f, nil
		}
		n, err := strconv.Atoi(v.String())
		if err != nil {
			return nil, fmt.Errorf("the number %.40s is too large", v)
		}
		return n, nil
	case json.Delim:
		if depth == 0 {
			return nil, fmt.Errorf("more than %d values in one another", maxJSON)
		}
		l, o := &list{}, &dict{}
		for d.More() {
			var key any
			if v == '{' {
				if key, err = d.Token(); err != nil {
					return nil, err
				}
			}
			item, err := decode(d, depth-1)
			if err != nil {
				return nil, err
			}
			if v == '{' {
				o.set(key, item)
			} else {
				l.items = append(l.items, item)
			}
		}
		if _, err := d.Token(); err != nil {
			return nil, err
		}
		if v == '{' {
			return o, nil
		}
		return l, nil
	}
	return t, nil // nil, bool, string
}

// dumper writes JSON as Python's json.dumps.
type dumper struct {
	s             *state
	b             strings.Builder
	item, colon   string // separators
	indent        string // of one level
	pretty, ascii bool
	sort          bool
}

func (d *dumper) value(v any, line string) {
	d.s.spend(8 + len(line))
	switch v := v.(type) {
	case nil:
		d.b.WriteString("null")
	case bool:
		d.b.WriteString(strconv.FormatBool(v))
	case int:
		d.b.WriteString(strconv.Itoa(v))
	case float64:
		switch f := formatFloat(v); f {
		case "nan":
			d.b.WriteString("NaN")
		case "inf", "-inf":
			d.b.WriteString(strings.Replace(f, "inf", "Infinity", 1))
		default:
			d.b.WriteString(f)
		}
	case string:
		d.text(v)
	case *list:
		d.group("[]", len(v.items), line, func(i int, line string) { d.value(v.items[i], line) })
	case *dict:
		order := make([]int, len(v.keys))
		for i := range order {
			order[i] = i
		}
		if d.sort {
			slices.SortStableFunc(order, func(i, j int) int { return d.s.compare(v.keys[i], v.keys[j]) })
		}
		d.group("{}", len(v.keys), line, func(i int, line string) {
			i = order[i]
			switch key := v.keys[i].(type) {
			case string:
				d.text(key)
			default: // "1", "true", "null"
				d.b.WriteByte('"')
				d.value(key, "")
				d.b.WriteByte('"')
			}
			d.b.WriteString(d.colon)
			d.value(v.vals[i], line)
		})
	default:
		d.s.fail("tojson: a %s is no JSON", typeName(v))
	}
}

// group writes n items in brackets; line is the white space before a line at this level.
func (d *dumper) group(brackets string, n int, line string, item func(i int, line string)) {
	d.b.WriteByte(brackets[0])
	if n > 0 {
		inner := line + d.indent
		d.s.spend(n * (len(inner) + len(d.item) + len(d.colon)))
		for i := range n {
			if i > 0 {
				d.b.WriteString(d.item)
			}
			if d.pretty {
				d.b.WriteString("\n" + inner)
			}
			item(i, inner)
		}
		if d.pretty {
			d.b.WriteString("\n" + line)
		}
	}
	d.b.WriteByte(brackets[1])
}

func (d *dumper) text(text string) {
	d.s.spend(len(text))
	d.b.WriteByte('"')
	for _, r := range text {
		i := strings.IndexRune("\"\\\n\r\t\b\f", r)
		switch {
		case i >= 0:
			d.b.WriteByte('\\')
			d.b.WriteByte(`"\nrtbf`[i])
		case r < 0x20 || d.ascii && r > 0x7e && r < 0x10000:
			fmt.Fprintf(&d.b, `\u%04x`, r)
		case d.ascii && r >= 0x10000:
			hi, lo := utf16.EncodeRune(r)
			fmt.Fprintf(&d.b, `\u%04x\u%04x`, hi, lo)
		default:
			d.b.WriteRune(r)
		}
	}
	d.b.WriteByte('"')
}

// tojson is the filter of that name, as transformers defines it.
func tojson(s *state, v any, a args) any {
	opt := options{s, "tojson", a.bind(s, "tojson", "ensure_ascii", "indent", "separators", "sort_keys")}
	d := &dumper{s: s, item: ", ", colon: ": ", ascii: opt.bool(0, false), sort: opt.bool(3, false)}
	switch in := opt.list[1].(type) {
	case *function, nil: // absent, or none
	case string:
		d.pretty, d.indent, d.item = true, in, ","
	default:
		n := opt.int(1, 0)
		if n > 1000 {
			s.fail("tojson: indent %d is too large", n)
		}
		d.pretty, d.indent, d.item = true, strings.Repeat(" ", max(n, 0)), ","
	}
	if sep := opt.list[2]; sep != absent && sep != nil {
		l, ok := sep.(*list)
		if !ok || len(l.items) != 2 {
			s.fail("tojson: separators are two strings")
		}
		d.item, d.colon = s.str(l.items[0]), s.str(l.items[1])
	}
	d.value(v, "")
	return d.b.String()
}
