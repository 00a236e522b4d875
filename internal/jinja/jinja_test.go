package jinja

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
)

func render(source string, work int) (string, error) {
	t, err := Parse(source)
	if err != nil {
		return "", err
	}
	return t.Render(map[string]any{"n": 3, "fail": Func(func(args []any) (any, error) { return nil, fmt.Errorf("no %v", args[0]) })}, work)
}

// Templates that must not do what they try: read files, take for ever, or all memory.
func TestHostile(t *testing.T) {
	doubling := `{% set ns = namespace(x='ab') %}{% for i in range(99) %}{% set ns.x = `
	for _, c := range []struct{ source, want string }{
		{`{% include '/etc/passwd' %}`, "line 1: {% include %} is not allowed"},
		{`{% import 'a' as b %}`, "not allowed"},
		{`{% from 'a' import b %}`, "not allowed"},
		{"\n{% extends 'a' %}", "line 2: {% extends %} is not allowed"},
		{`{{ range(10**9) }}`, "more than 100000 numbers"},
		{`{{ range(0, -(10**18), -1) }}`, "more than 100000 numbers"},
		{`{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}`, "it may loop without end"},
		{`{% for a in range(99999) %}{% for b in range(99999) if 'a' * 999 in 'b' * 99999 %}{% endfor %}{% endfor %}`, "without end"},
		{`{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}`, "more than 100 macros"},
		{`{% macro m(n=m()) %}{% endmacro %}{{ m() }}`, "more than 100 macros"},
		{`{% macro m() %}{{ caller() }}{% endmacro %}{% macro n() %}{% call m() %}{{ n() }}{% endcall %}{% endmacro %}{{ n() }}`, "more than 100 macros"},
		{doubling + `ns.x ~ ns.x %}{% endfor %}`, "without end"},
		{doubling + `ns.x + ns.x %}{% endfor %}`, "without end"},
		{doubling + `[ns.x, ns.x] %}{% endfor %}{{ ns.x }}`, "without end"},
		{doubling + `[ns.x, ns.x] %}{% endfor %}{{ ns.x | tojson }}`, "without end"},
		{doubling + `[ns.x, ns.x] %}{% endfor %}{{ ns.x == [ns.x[0], ns.x[0] + [1]] }}`, "without end"},
		{doubling + `ns.x | replace('', ns.x) %}{% endfor %}`, "without end"},
		{doubling + `ns.x.join([ns.x, ns.x, '']) %}{% endfor %}`, "without end"},
		{doubling + `[ns.x] %}{% endfor %}{{ ns.x | tojson(indent=1000) }}{% for i in range(99999) %}{{ ns.x | tojson(indent=1000) }}{% endfor %}`, "without end"},
		{`{% set ns = namespace() %}{% set ns.x = ns %}{{ ns }}`, "a namespace cannot be printed"},
		{`{% set ns = namespace() %}{% set ns.x = [ns] %}{{ ns.x | tojson }}`, "a namespace is no JSON"},
		{`{{ 'a' * 10**12 }}`, "without end"},
		{`{{ [1] * 10**12 }}`, "without end"},
		{`{{ 'a' * 2**62 * 4 }}`, "without end"},
		{`{{ 'abc' * 2**62 }}`, "too large"},
		{`{{ 'a' | indent(10**12) }}`, "without end"},
		{`{{ 'a'.center(10**12) }}`, "without end"},
		{`{{ 'a'.zfill(10**12) }}`, "without end"},
		{`{{ 'a' | center(10**12) }}`, "without end"},
		{`{{ [1] | slice(10**12) }}`, "without end"},
		{`{{ [1] | batch(10**12, 1) }}`, "without end"},
		{`{% for i in range(99999) %}{{ '%999d' % 1 }}{% endfor %}`, "without end"},
		{`{{ [[]] | tojson(indent=10**9) }}`, "too large"},
		{`{{ 10**10**10 }}`, "too large"},
		{`{{ 2**63 }}`, "too large"},
		{`{{ 9223372036854775807 + 1 }}`, "too large"},
		{`{{ (-9223372036854775807 - 1) // -1 }}`, "too large"},
		{`{{ -(-9223372036854775807 - 1) }}`, "too large"},
		{`{{ 99999999999999999999 }}`, "too large"},
		{`{{ 1e300 | int }}`, "too large"},
		{`{{ 1 // 0 }}`, "division by zero"},
		{`{{ 1 % 0 }}`, "division by zero"},
		{`{{ 1.5 / 0 }}`, "division by zero"},
		{`{{ ` + strings.Repeat("(", 1e5) + `1` + strings.Repeat(")", 1e5) + ` }}`, "more than 16384 parts"},
		{`{{ ` + strings.Repeat("[", 1e5), "a tag without }}"},
		{`{{ ` + strings.Repeat("not ", 1e5) + `1 }}`, "more than 16384 parts"},
		{`{{ ` + strings.Repeat("-", 1e5) + `1 }}`, "more than 16384 parts"},
		{`{{ 1` + strings.Repeat("+1", 1e5) + ` }}`, "more than 16384 parts"},
		{`{{ 1` + strings.Repeat(" if 1 else 1", 5e4) + ` }}`, "more than 16384 parts"},
		{`{{ a` + strings.Repeat(".a", 1e5) + ` }}`, "more than 16384 parts"},
		{`{{ a` + strings.Repeat("|e", 1e5) + ` }}`, "more than 16384 parts"},
		{`{% for ` + strings.Repeat("(", 1e5) + `a` + strings.Repeat(")", 1e5) + ` in b %}{% endfor %}`, "more than 16384 parts"},
		{strings.Repeat("{% if 1 %}", 1e4), "more than 100 blocks"},
		{strings.Repeat("a", maxSource+1), "at most 1048576 are read"},
		{`{{ [1].append(2) }}`, "undefined"},
		{`{{ {}.update({}) }}`, "would change a dict"},
		{`{{ ''.__class__.__mro__ }}`, "undefined"},
	} {
		start := time.Now()
		text, err := render(c.source, 1<<25)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.80s: %.80q, %v, want %q", c.source, text, err, c.want)
		}
		if took := time.Since(start); took > time.Minute { // of a machine that does much else
			t.Errorf("%.80s: took %v", c.source, took)
		}
	}
}

// Errors name the line and what is wrong.
func TestErrors(t *testing.T) {
	for _, c := range []struct{ source, want string }{
		{"a\n{% if 1 %}", "line 2: the template ends where {% endif %} should come"},
		{"a\n{% nonsense %}", "line 2: unknown tag {% nonsense %}"},
		{"{{ 1 | nonsense }}", "line 1: unknown filter 'nonsense'"},
		{"{{ 1 is nonsense }}", "line 1: unknown test 'nonsense'"},
		{"{{ 1 | trim(nonsense=1) }}", "trim takes no argument nonsense"},
		{"\n\n{{ fail('reason') }}", "line 3: no reason"},
		{"{{ missing.at }}", "'missing' is undefined, so it has no 'at'"},
		{"{{ missing() }}", "'missing' is undefined, so it cannot be called"},
		{"{{ 'a' + missing }}", "'missing' is undefined"},
		{"{{ 'a' + 1 }}", "str + int makes no sense"},
		{"{{ 'a' < 1 }}", "str and int have no order"},
		{"{% for a in none %}{% endfor %}", "a loop wants a str, list or dict, not None"},
		{"{{ none[1:] }}", "a None cannot be sliced"},
		{"{% for a, b in [1, 2] %}{% endfor %}", "a loop wants"},
		{"{% for a, b in [[1]] %}{% endfor %}", "1 values for 2 names"},
		{"{% set a.b = 1 %}", "a is no namespace"},
		{"{% break %}", "break outside of a loop"},
		{"{% for a in [1] %}{% set x %}{% break %}{% endset %}{% endfor %}", "out of a block"},
		{"{% macro m(a) %}{% endmacro %}\n{{ m(1, 2) }}", "line 2: m takes at most 1 arguments, not 2"},
		{"{{ 'a }}", "a string without an end"},
		{"{{ 1", "a tag without }}"},
		{"{{ 1 ! 2 }}", "unexpected character '!'"},
		{"{{ (1] }}", "unexpected ']'"},
		{"{{ }}", "expected an expression, found '}}'"},
		{"{# a", "a comment without an end"},
		{"{% raw %}a", "{% raw %} without {% endraw %}"},
		{"{% for a in b recursive %}{% endfor %}", "not supported"},
		{"{% macro m() %}{% endmacro %}{% call m() %}{% endcall %}", "m takes no argument caller"},
		{"{{ [1] | slice(0) }}", "slice: into 0"},
		{"{{ [1] | batch(-1) }}", "batch: -1 items each"},
		{"{{ '%9999d' % 1 }}", "a width of 9999"},
		{"{{ '%r' % 1 }}", "only %s, %d, %f and %x"},
		{"{{ 'a'.center(3, 'bc') }}", "fills with one character"},
	} {
		if text, err := render(c.source, 1<<20); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %q, %v, want %q", c.source, text, err, c.want)
		}
	}
}

func TestFromJSON(t *testing.T) {
	const source = `{"b":1,"a":[1.0,-0.5e3,true,null,"é\u0000"],"c":{}}`
	v, err := FromJSON([]byte(source))
	if err != nil {
		t.Fatal(err)
	}
	tmpl, err := Parse("{{ v | tojson(separators=(',', ':')) }} {{ v }}")
	if err != nil {
		t.Fatal(err)
	}
	text, err := tmpl.Render(map[string]any{"v": v}, 1<<20)
	if want := `{"b":1,"a":[1.0,-500.0,true,null,"é\u0000"],"c":{}} {'b': 1, 'a': [1.0, -500.0, True, None, 'é\x00'], 'c': {}}`; text != want || err != nil {
		t.Errorf("%s, %v, want %s", text, err, want)
	}
	for _, bad := range []string{"", "{", "[1] 2", strings.Repeat("[", 200) + strings.Repeat("]", 200), "99999999999999999999"} {
		if v, err := FromJSON([]byte(bad)); err == nil {
			t.Errorf("%.30s: %v", bad, v)
		}
	}
}

func TestFormatFloat(t *testing.T) {
	for f, want := range map[float64]string{0: "0.0", 1: "1.0", 0.1: "0.1", 1e15: "1000000000000000.0", 1e16: "1e+16", 0.0001: "0.0001", 0.00001: "1e-05", 1.5e300: "1.5e+300", math.Inf(-1): "-inf"} {
		if got := formatFloat(f); got != want {
			t.Errorf("%v: %s, want %s", f, got, want)
		}
	}
}

// FuzzRender: no panic, no end of memory, the same result twice.
func FuzzRender(f *testing.F) {
	for _, source := range []string{
		"{% for m in x[::-1] if m.a is defined %}{{ loop.index ~ m['a'] | trim }}{% else %}-{% endfor %}",
		"{%- set ns = namespace(a=[1, 2.5], b='q') -%}{% set ns.a = ns.a + [(n, {})] %}{{ ns.a | tojson(indent=2) }} {{ '%s' % n }}{{ 'x{}'.format(1) }}",
		"{% macro m(a, b=n) %}{{ caller(a) if caller else b }}{% endmacro %}{% call(q) m(1) %}{{ q }}{% endcall %}{{ m('a b'.split()) }}",
		"{% filter upper | indent(3) %}{% raw %}{{{% endraw %}{% endfilter %}{% with a = 1, b = -2 ** 2 // 3 %}{{ 1 < a <= 2 and not b in [a] }}{% endwith %}{# c #}",
		"{{ x | map(attribute='a.0') | select('string') | sort(reverse=true) | join(',') | default('d', true) | replace('a', 'bb', 1) }}{{ x | selectattr('a', 'eq', 1) | list }}",
	} {
		f.Add(source, `[{"a":"b c"},{"a":[1,null]}]`)
	}
	f.Fuzz(func(t *testing.T, source, data string) {
		tmpl, err := Parse(source)
		if err != nil {
			return
		}
		x, err := FromJSON([]byte(data))
		if err != nil {
			return
		}
		vars := map[string]any{"x": x, "n": 3}
		a, errA := tmpl.Render(vars, 1<<16)
		b, errB := tmpl.Render(vars, 1<<16)
		if a != b || fmt.Sprint(errA) != fmt.Sprint(errB) || len(a) > 1<<16 {
			t.Errorf("%q, %v, then %q, %v", a, errA, b, errB)
		}
	})
}

// Arguments come from lists and dicts too.
func TestSpreadArguments(t *testing.T) {
	const source = `{% macro m(a, b=2, c=3) %}{{ a }}{{ b }}{{ c }}{% endmacro %}{{ m(*[7, 8]) }} {{ m(7, *[], c=9) }} {{ m(**{'c': 5, 'a': 1}) }} {{ m(*[1], b=4, **{'c': 6}) }}`
	if text, err := render(source, 1<<20); err != nil || text != "783 729 125 146" {
		t.Errorf("%q, %v", text, err)
	}
	for _, source := range []string{`{% macro m(a) %}{% endmacro %}{{ m(*7) }}`, `{% macro m(a) %}{% endmacro %}{{ m(**[1]) }}`} {
		if _, err := render(source, 1<<20); err == nil {
			t.Errorf("%s: no error", source)
		}
	}
}
