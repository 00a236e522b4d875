package constrain

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode/utf8"
)

// jsonRules are the rules that every JSON language shares; 0 is not made yet, for rule 0 is never one of them.
type jsonRules struct{ value, object, str, char int32 }

// Between tokens of JSON stands nothing, or one space after a comma and a colon, as json.dumps writes it: white space
// without bound is where greedy models never end.
var (
	comma = seq(lit(","), opt(lit(" ")))
	colon = seq(lit(":"), opt(lit(" ")))
	digit = class(runes{'0', '9'})
	hex   = class(runes{'0', '9'}, runes{'A', 'F'}, runes{'a', 'f'})
)

// maxDigits of an integer, and of a fraction, where no bound says otherwise: float64 holds them, and no model counts for ever.
const maxDigits = 15

var (
	whole   = seq(opt(lit("-")), alt(lit("0"), seq(class(runes{'1', '9'}), rep(digit, 0, maxDigits-1))))
	decimal = seq(whole, opt(seq(lit("."), rep(digit, 1, maxDigits))), opt(seq(class(runes{'E', 'E'}, runes{'e', 'e'}), opt(class(runes{'+', '+'}, runes{'-', '-'})), rep(digit, 1, 2))))
	boolean = alt(lit("true"), lit("false"))
)

// character is one character within a JSON string: as it is, or escaped; surrogates come in pairs.
var character = alt(
	class(runes{' ', '!'}, runes{'#', '['}, runes{']', utf8.MaxRune}),
	seq(lit(`\`), alt(
		class(runes{'"', '"'}, runes{'/', '/'}, runes{'\\', '\\'}, runes{'b', 'b'}, runes{'f', 'f'}, runes{'n', 'n'}, runes{'r', 'r'}, runes{'t', 't'}),
		seq(lit("u"), alt(
			seq(class(runes{'0', '9'}, runes{'A', 'C'}, runes{'E', 'F'}, runes{'a', 'c'}, runes{'e', 'f'}), hex, hex, hex),
			seq(class(runes{'D', 'D'}, runes{'d', 'd'}), alt(
				seq(class(runes{'0', '7'}), hex, hex),
				seq(class(runes{'8', '9'}, runes{'A', 'B'}, runes{'a', 'b'}), hex, hex, lit(`\u`), class(runes{'D', 'D'}, runes{'d', 'd'}), class(runes{'C', 'F'}, runes{'c', 'f'}), hex, hex),
			)),
		)),
	)),
)

// jsonString is any JSON string.
func (b *builder) jsonString() expr {
	if b.json.str == 0 {
		b.json.str = b.rule("string", seq(lit(`"`), rep(character, 0, -1), lit(`"`)))
	}
	return ref(b.json.str)
}

// jsonLengths is a JSON string of least to most characters (-1: any number).
func (b *builder) jsonLengths(least, most int) expr {
	if least == 0 && most < 0 {
		return b.jsonString()
	}
	if b.json.char == 0 {
		b.json.char = b.rule("character", character)
	}
	return seq(lit(`"`), rep(ref(b.json.char), least, most), lit(`"`))
}

// jsonValue is any JSON.
func (b *builder) jsonValue() expr {
	if b.json.value == 0 {
		b.json.value = b.declare("value")
		v := ref(b.json.value)
		b.define(b.json.value, alt(ref(b.jsonObject()), b.array(v), b.jsonString(), decimal, boolean, lit("null")))
	}
	return ref(b.json.value)
}

func (b *builder) array(item expr) expr {
	return seq(lit("["), opt(seq(item, rep(seq(comma, item), 0, -1))), lit("]"))
}

// jsonObject is the rule of any JSON object.
func (b *builder) jsonObject() int32 {
	if b.json.object == 0 {
		b.json.object = b.declare("object")
		member := seq(b.jsonString(), colon, b.jsonValue())
		b.define(b.json.object, seq(lit("{"), opt(seq(member, rep(seq(comma, member), 0, -1))), lit("}")))
	}
	return b.json.object
}

// quoted is how text is written as JSON.
func quoted(text string) string {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(text); err != nil {
		panic(err) // of no string
	}
	return string(bytes.TrimSuffix(out.Bytes(), []byte("\n")))
}

// inString writes characters within a JSON string: each in one way only.
func inString(b *builder, from int32, list []runes, to int32) {
	var plain []runes
	for _, r := range list {
		for _, raw := range []runes{{' ', '!'}, {'#', '['}, {']', utf8.MaxRune}} {
			if lo, hi := max(r.lo, raw.lo), min(r.hi, raw.hi); lo <= hi {
				plain = append(plain, runes{lo, hi})
			}
		}
		for c := r.lo; c <= min(r.hi, '\\'); c++ {
			switch short, ok := shortEscapes[c]; {
			case ok:
				lit(`\`+short)(b, from, to)
			case c < ' ':
				lit(fmt.Sprintf(`\u%04x`, c))(b, from, to)
			}
		}
	}
	b.chars(from, plain, to)
}

var shortEscapes = map[rune]string{'"': `"`, '\\': `\`, '\b': "b", '\f': "f", '\n': "n", '\r': "r", '\t': "t"}
