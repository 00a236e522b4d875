package jinja

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// isCase is str.islower or isupper: some letters, none of the other case.
func isCase(s string, want, other func(rune) bool) bool {
	return strings.ContainsFunc(s, want) && !strings.ContainsFunc(s, func(r rune) bool { return other(r) || unicode.IsTitle(r) })
}

// strip is str.strip and its like; chars "" stands for white space.
func strip(s, chars string, left, right bool) string {
	cut := isSpace
	if chars != "" {
		cut = func(r rune) bool { return strings.ContainsRune(chars, r) }
	}
	if left {
		s = strings.TrimLeftFunc(s, cut)
	}
	if right {
		s = strings.TrimRightFunc(s, cut)
	}
	return s
}

func capitalize(s string) string {
	_, n := utf8.DecodeRuneInString(s)
	return strings.ToUpper(s[:n]) + strings.ToLower(s[n:])
}

// words writes every run of what isPart with a capital letter.
func words(s string, isPart func(rune) bool) string {
	var b strings.Builder
	inside := false
	for _, r := range s {
		switch {
		case !isPart(r):
			inside = false
			b.WriteRune(r)
		case inside:
			b.WriteRune(unicode.ToLower(r))
		default:
			inside = true
			b.WriteRune(unicode.ToUpper(r))
		}
	}
	return b.String()
}

// splitLines is str.splitlines.
func splitLines(s string, keep bool) (lines []string) {
	for s != "" {
		i := strings.IndexFunc(s, func(r rune) bool {
			return r >= '\n' && r <= '\r' || r >= 0x1c && r <= 0x1e || r == 0x85 || r == 0x2028 || r == 0x2029
		})
		if i < 0 {
			return append(lines, s)
		}
		_, n := utf8.DecodeRuneInString(s[i:])
		if strings.HasPrefix(s[i:], "\r\n") {
			n = 2
		}
		if keep {
			lines = append(lines, s[:i+n])
		} else {
			lines = append(lines, s[:i])
		}
		s = s[i+n:]
	}
	return lines
}

// split is str.split or rsplit, with at most most cuts unless that is below 0; sep nil is white space.
func (s *state) split(v string, sep any, most int, right bool) *list {
	var parts []string
	switch sep := sep.(type) {
	case string:
		if sep == "" {
			s.fail("split: the separator is empty")
		}
		parts = strings.Split(v, sep)
		if n := len(parts); most >= 0 && n > most+1 {
			if right {
				parts = append([]string{strings.Join(parts[:n-most], sep)}, parts[n-most:]...)
			} else {
				parts = append(parts[:most:most], strings.Join(parts[most:], sep))
			}
		}
	case nil:
		for rest := strip(v, "", true, true); rest != ""; {
			i, end := strings.IndexFunc(rest, isSpace), 0
			if right {
				i = strings.LastIndexFunc(rest, isSpace)
			}
			if i >= 0 {
				_, end = utf8.DecodeRuneInString(rest[i:])
				end += i
			}
			switch {
			case i < 0 || most >= 0 && len(parts) == most:
				parts, rest = append(parts, rest), ""
			case right:
				parts, rest = append(parts, rest[end:]), strip(rest[:i], "", false, true)
			default:
				parts, rest = append(parts, rest[:i]), strip(rest[end:], "", true, false)
			}
		}
		if right {
			slices.Reverse(parts)
		}
	default:
		s.fail("split: the separator is a str, not %s", typeName(sep))
	}
	return s.texts(parts)
}

// partition is str.partition or rpartition: what is before sep, sep, and what is behind it.
func (s *state) partition(v, sep string, index func(v, sep string) int) *list {
	if sep == "" {
		s.fail("partition: the separator is empty")
	}
	parts := []string{v, "", ""}
	if i := index(v, sep); i >= 0 {
		parts = []string{v[:i], sep, v[i+len(sep):]}
	} else if index("aa", "a") == 1 { // from the right
		parts = []string{"", "", v}
	}
	l := s.texts(parts)
	l.tuple = true
	return l
}

func (s *state) texts(parts []string) *list {
	items := make([]any, len(parts))
	for i, p := range parts {
		items[i] = p
	}
	return s.list(items)
}

// replace is str.replace; n < 0 replaces all.
func (s *state) replace(v, old, by string, n int) string {
	found := strings.Count(v, old)
	if n >= 0 {
		found = min(found, n)
	}
	s.spend(len(v) + s.product(found, len(by)))
	return strings.Replace(v, old, by, n)
}

// join is sep.join(items).
func (s *state) join(sep string, items []any) string {
	var b strings.Builder
	for i, v := range items {
		if i > 0 {
			b.WriteString(sep)
		}
		text := s.str(v)
		s.spend(1 + len(text) + len(sep))
		b.WriteString(text)
	}
	return b.String()
}

// find is the index in runes of the first or last sub, -1 if there is none.
func find(v, sub string, last bool) int {
	i := strings.Index(v, sub)
	if last {
		i = strings.LastIndex(v, sub)
	}
	if i < 0 {
		return -1
	}
	return utf8.RuneCountInString(v[:i])
}

// affix is str.startswith or endswith: of a str, or of one in a tuple.
func (s *state) affix(v string, of any, has func(v, affix string) bool) bool {
	if l, ok := of.(*list); ok && l.tuple {
		return slices.ContainsFunc(l.items, func(item any) bool { return s.affix(v, item, has) })
	}
	affix, ok := of.(string)
	if !ok {
		s.fail("startswith and endswith want a str or a tuple of them, not %s", typeName(of))
	}
	return has(v, affix)
}

// percent is v % values, of %s, %d, %f, %x with flags, width and precision, and %%. more says that some values may be left over.
func (s *state) percent(v string, values []any, more bool) string {
	var b strings.Builder
	for {
		text, rest, found := strings.Cut(v, "%")
		b.WriteString(text)
		if !found {
			break
		}
		n := strings.IndexFunc(rest, func(r rune) bool { return !strings.ContainsRune("-+ 0.123456789", r) })
		if n < 0 {
			s.fail("a format ends with %%")
		}
		how, verb := rest[:n], rest[n]
		v = rest[n+1:]
		if verb == '%' && n == 0 {
			b.WriteByte('%')
			continue
		}
		if len(values) == 0 {
			s.fail("a format with too few values")
		}
		value := values[0]
		values = values[1:]
		for digits := range strings.FieldsFuncSeq(how, func(r rune) bool { return r < '0' || r > '9' }) {
			if len(digits) > 3 {
				s.fail("a format with a width of %.40s", digits)
			}
		}
		s.spend(2000)
		switch n := number(value); {
		case verb == 's':
			text := s.str(value)
			s.spend(len(text))
			if strings.HasPrefix(how, "0") {
				how = strings.TrimLeft(how, "0")
			}
			fmt.Fprintf(&b, "%"+how+"s", text)
		case (verb == 'd' || verb == 'i') && n != nil:
			fmt.Fprintf(&b, "%"+how+"d", s.whole(toFloat(n), n))
		case (verb == 'x' || verb == 'X') && ofType[int](nil, n):
			fmt.Fprintf(&b, "%"+how+string(verb), n)
		case (verb == 'f' || verb == 'F') && n != nil:
			fmt.Fprintf(&b, "%"+how+"f", toFloat(n))
		default:
			s.fail("a format with %%%c of a %s: only %%s, %%d, %%f and %%x of numbers are supported", verb, typeName(value))
		}
	}
	if len(values) > 0 && !more {
		s.fail("a format with too many values")
	}
	return b.String()
}

// braces is v.format(..): {}, {0} and {name}.
func (s *state) braces(v string, a args) string {
	var b strings.Builder
	at := 0
	for {
		i := strings.IndexAny(v, "{}")
		if i < 0 {
			b.WriteString(v)
			return b.String()
		}
		b.WriteString(v[:i])
		if i+1 < len(v) && v[i+1] == v[i] {
			b.WriteByte(v[i])
			v = v[i+2:]
			continue
		}
		field, rest, found := strings.Cut(v[i+1:], "}")
		if v[i] == '}' || !found {
			s.fail("format: a single '%c'", v[i])
		}
		v = rest
		n, err := strconv.Atoi(field)
		if field == "" {
			n, err, at = at, nil, at+1
		}
		k := slices.IndexFunc(a.kw, func(k keyword) bool { return k.name == field })
		var value any
		switch {
		case err == nil && n >= 0 && n < len(a.pos):
			value = a.pos[n]
		case k >= 0:
			value = a.kw[k].value
		default:
			s.fail("format: no value for {%.40s}", field)
		}
		text := s.str(value)
		s.spend(1 + len(text))
		b.WriteString(text)
	}
}

// methods of str. All cost the length of the string before they start.
var methods = map[string]func(s *state, v string, a args) any{
	"strip":  stripMethod("strip", true, true),
	"lstrip": stripMethod("lstrip", true, false),
	"rstrip": stripMethod("rstrip", false, true),
	"split":  splitMethod("split", false),
	"rsplit": splitMethod("rsplit", true),
	"splitlines": func(s *state, v string, a args) any {
		o := options{s, "splitlines", a.bind(s, "splitlines", "keepends")}
		return s.texts(splitLines(v, o.bool(0, false)))
	},
	"startswith": func(s *state, v string, a args) any {
		return s.affix(v, one(s, "startswith", a), strings.HasPrefix)
	},
	"endswith": func(s *state, v string, a args) any {
		return s.affix(v, one(s, "endswith", a), strings.HasSuffix)
	},
	"replace": func(s *state, v string, a args) any {
		o := options{s, "replace", a.bind(s, "replace", "old", "new", "count")}
		o.need(0)
		o.need(1)
		return s.replace(v, o.str(0, ""), o.str(1, ""), o.int(2, -1))
	},
	"removeprefix": func(s *state, v string, a args) any {
		one(s, "removeprefix", a)
		return strings.TrimPrefix(v, options{s, "removeprefix", a.pos}.str(0, ""))
	},
	"removesuffix": func(s *state, v string, a args) any {
		one(s, "removesuffix", a)
		return strings.TrimSuffix(v, options{s, "removesuffix", a.pos}.str(0, ""))
	},
	"partition": func(s *state, v string, a args) any {
		return s.partition(v, options{s, "partition", []any{one(s, "partition", a)}}.str(0, ""), strings.Index)
	},
	"rpartition": func(s *state, v string, a args) any {
		return s.partition(v, options{s, "rpartition", []any{one(s, "rpartition", a)}}.str(0, ""), strings.LastIndex)
	},
	"find":  findMethod("find", false, false),
	"rfind": findMethod("rfind", true, false),
	"index": findMethod("index", false, true),
	"count": func(s *state, v string, a args) any {
		one(s, "count", a)
		return strings.Count(v, options{s, "count", a.pos}.str(0, ""))
	},
	"join":       func(s *state, v string, a args) any { return s.joinStrings(v, s.iterate(one(s, "join", a))) },
	"format":     func(s *state, v string, a args) any { return s.braces(v, a) },
	"upper":      textMethod("upper", strings.ToUpper),
	"lower":      textMethod("lower", strings.ToLower),
	"capitalize": textMethod("capitalize", capitalize),
	"title":      textMethod("title", func(v string) string { return words(v, unicode.IsLetter) }),
	"ljust":      padMethod("ljust", func(int, int) int { return 0 }),
	"rjust":      padMethod("rjust", func(n, _ int) int { return n }),
	"center":     padMethod("center", func(n, width int) int { return n/2 + n&width&1 }),
	"zfill": func(s *state, v string, a args) any {
		n := options{s, "zfill", []any{one(s, "zfill", a)}}.int(0, 0) - utf8.RuneCountInString(v)
		s.spend(max(n, 0))
		sign := 0
		if strings.HasPrefix(v, "-") || strings.HasPrefix(v, "+") {
			sign = 1
		}
		return v[:sign] + strings.Repeat("0", max(n, 0)) + v[sign:]
	},
	"isupper": askMethod("isupper", func(v string) bool { return isCase(v, unicode.IsUpper, unicode.IsLower) }),
	"islower": askMethod("islower", func(v string) bool { return isCase(v, unicode.IsLower, unicode.IsUpper) }),
	"isspace": askMethod("isspace", all(isSpace)),
	"isalpha": askMethod("isalpha", all(unicode.IsLetter)),
	"isdigit": askMethod("isdigit", all(unicode.IsDigit)),
	"isalnum": askMethod("isalnum", all(func(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) })),
}

// one is the only argument.
func one(s *state, what string, a args) any {
	if len(a.pos) != 1 || a.kw != nil {
		s.fail("%s wants one argument", what)
	}
	return a.pos[0]
}

func none(s *state, what string, a args) {
	if len(a.pos) > 0 || a.kw != nil {
		s.fail("%s takes no arguments", what)
	}
}

func stripMethod(name string, left, right bool) func(s *state, v string, a args) any {
	return func(s *state, v string, a args) any {
		o := options{s, name, a.bind(s, name, "chars")}
		if o.list[0] == nil {
			o.list[0] = absent
		}
		if o.given(0) && o.str(0, "") == "" {
			return v
		}
		return strip(v, o.str(0, ""), left, right)
	}
}

func splitMethod(name string, right bool) func(s *state, v string, a args) any {
	return func(s *state, v string, a args) any {
		o := options{s, name, a.bind(s, name, "sep", "maxsplit")}
		sep := o.list[0]
		if !o.given(0) {
			sep = nil
		}
		return s.split(v, sep, o.int(1, -1), right)
	}
}

func findMethod(name string, last, must bool) func(s *state, v string, a args) any {
	return func(s *state, v string, a args) any {
		one(s, name, a)
		i := find(v, options{s, name, a.pos}.str(0, ""), last)
		if i < 0 && must {
			s.fail("%s: not found", name)
		}
		return i
	}
}

func textMethod(name string, f func(string) string) func(s *state, v string, a args) any {
	return func(s *state, v string, a args) any {
		none(s, name, a)
		s.spend(len(v))
		return f(v)
	}
}

// padMethod is a method that widens a text; left says how many of n go before it.
func padMethod(name string, left func(n, width int) int) func(s *state, v string, a args) any {
	return func(s *state, v string, a args) any {
		o := options{s, name, a.bind(s, name, "width", "fillchar")}
		o.need(0)
		width, with := o.int(0, 0), o.str(1, " ")
		if utf8.RuneCountInString(with) != 1 {
			s.fail("%s: fills with one character, not %q", name, with)
		}
		n := max(width-utf8.RuneCountInString(v), 0)
		s.spend(s.product(n, len(with)))
		before := left(n, width)
		return strings.Repeat(with, before) + v + strings.Repeat(with, n-before)
	}
}

func askMethod(name string, f func(string) bool) func(s *state, v string, a args) any {
	return func(s *state, v string, a args) any { none(s, name, a); return f(v) }
}

// all reports whether a string has runes, and all are of one kind.
func all(kind func(rune) bool) func(string) bool {
	return func(v string) bool {
		return v != "" && !strings.ContainsFunc(v, func(r rune) bool { return !kind(r) })
	}
}

// joinStrings is join of nothing but strings.
func (s *state) joinStrings(sep string, items []any) string {
	for _, v := range items {
		if !ofType[string](nil, v) {
			s.fail("join: %s is no str", typeName(v))
		}
	}
	return s.join(sep, items)
}

func (s *state) listMethod(l *list, name string, a args) any {
	v, n := one(s, name, a), 0
	for i, item := range l.items {
		if s.equal(item, v) {
			if name == "index" {
				return i
			}
			n++
		}
	}
	if name == "index" {
		s.fail("index: not found")
	}
	return n
}

func (s *state) dictMethod(d *dict, name string, a args) any {
	if name == "get" {
		o := options{s, name, a.bind(s, name, "key", "default")}
		key := o.need(0)
		if !hashable(key) {
			s.fail("%s cannot be a key", typeName(key))
		}
		if v, ok := d.get(key); ok {
			return v
		}
		if o.given(1) {
			return o.list[1]
		}
		return nil
	}
	none(s, name, a)
	switch name {
	case "keys":
		return s.list(d.keys)
	case "values":
		return s.list(slices.Clone(d.vals))
	case "items":
		return s.items(d)
	}
	return d // a copy of what never changes
}
