package constrain

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// RandomSchema is a schema of the keywords that are claimed, with rules within rules up to a depth. Some allow nothing.
func RandomSchema(rng *rand.Rand, depth int) string {
	pick := func(list ...string) string { return list[rng.IntN(len(list))] }
	var parts []string
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	maybe := func(percent int, format string, args ...any) {
		if rng.IntN(100) < percent {
			add(format, args...)
		}
	}
	sub := func() string { return RandomSchema(rng, depth-1) }
	some := func(n int, f func() string) string {
		list := make([]string, n)
		for i := range list {
			list[i] = f()
		}
		return strings.Join(list, ",")
	}
	kinds := 5
	if depth > 0 {
		kinds = 11
	}
	switch rng.IntN(kinds) {
	case 0:
		add(`"type":"string"`)
		maybe(30, `"minLength":%d`, rng.IntN(4))
		maybe(60, `"maxLength":%d`, 3+rng.IntN(12))
		maybe(25, `"pattern":%q`, pick("^[a-z]+$", "a", "^x.*y$", "[0-9]{2}", "^(foo|bar)?$", "\\d-\\w", "^[^a]*$", "é|ü"))
	case 1:
		add(`"type":%q`, pick("integer", "number"))
		lo := rng.IntN(200) - 100
		maybe(50, `%q:%d`, pick("minimum", "exclusiveMinimum"), lo)
		maybe(50, `%q:%d.%d`, pick("maximum", "exclusiveMaximum"), lo+rng.IntN(300), rng.IntN(100))
		maybe(25, `"multipleOf":%s`, pick("1", "2", "0.5", "3", "0.01", "7"))
	case 2:
		add(`"type":%s`, pick(`"boolean"`, `"null"`, `["boolean","null"]`, `["integer","null"]`))
	case 3:
		add(`"enum":[%s]`, some(1+rng.IntN(4), func() string {
			return pick(`"a"`, `"b c"`, `1`, `2.5`, `null`, `true`, `[1,2]`, `{"k":"v"}`, `"\"\\\u00fc"`)
		}))
	case 4:
		add(`"type":"string","format":%q`, pick("date", "time", "date-time", "email", "ipv4", "ipv6", "uuid", "hostname", "duration", "uri"))
	case 5, 6, 7:
		add(`"type":"object"`)
		names := []string{"a", "b", "name", "x y", "ü"}[:1+rng.IntN(5)]
		var props, required []string
		for _, n := range names {
			props = append(props, fmt.Sprintf("%q:%s", n, sub()))
			if rng.IntN(2) == 0 {
				required = append(required, fmt.Sprintf("%q", n))
			}
		}
		maybe(90, `"properties":{%s}`, strings.Join(props, ","))
		maybe(70, `"required":[%s]`, strings.Join(required, ","))
		maybe(50, `"additionalProperties":%s`, pick("false", "true", `{"type":"integer"}`, sub()))
		maybe(15, `"patternProperties":{"^n":%s,"\\d$":{"type":"boolean"}}`, sub())
		maybe(15, `"maxProperties":%d`, len(required)+rng.IntN(3))
		maybe(15, `"minProperties":%d`, rng.IntN(2))
	case 8:
		add(`"type":"array"`)
		maybe(80, `"items":%s`, sub())
		maybe(30, `"prefixItems":[%s]`, some(1+rng.IntN(3), sub))
		maybe(30, `"minItems":%d`, rng.IntN(3))
		maybe(60, `"maxItems":%d`, 2+rng.IntN(3))
	case 9:
		add(`"anyOf":[%s]`, some(1+rng.IntN(3), sub))
		maybe(20, `"type":%q`, pick("object", "string", "integer"))
	case 10:
		switch rng.IntN(3) {
		case 0:
			add(`"allOf":[%s]`, some(1+rng.IntN(2), sub))
		case 1:
			add(`"oneOf":[{"type":"string","maxLength":5},{"type":"integer"},{"type":"object","properties":{"t":{"const":"p"},"v":%s},"required":["t"]},{"type":"object","properties":{"t":{"const":"q"}},"required":["t"]}]`, sub())
		default:
			return `{"anyOf":[` + sub() + `,{"type":"object","properties":{"up":{"$ref":"#"}},"additionalProperties":false}]}`
		}
	}
	maybe(10, `"description":"d"`)
	rng.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
	return "{" + strings.Join(parts, ",") + "}"
}
