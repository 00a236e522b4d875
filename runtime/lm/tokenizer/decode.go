package tokenizer

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Decode returns the text of ids, as the library does: ids without a token are
// left out, bytes that make no character become U+FFFD, and what the decoder
// strips at the start of a text it strips here. skipSpecial leaves out the
// special added tokens.
func (t *Tokenizer) Decode(ids []int32, skipSpecial bool) string {
	s := t.NewStream(skipSpecial)
	for _, id := range ids {
		s.add(id)
	}
	return s.Flush()
}

// Stream decodes token by token. All it returns is whole characters, and put
// together, with Flush at the end, it is what Decode returns. To go on from a
// prompt, pass the prompt's ids through Next first and drop what it returns.
type Stream struct {
	t    *Tokenizer
	skip bool
	in   decoder
	out  strings.Builder
}

// NewStream starts a text.
func (t *Tokenizer) NewStream(skipSpecial bool) *Stream {
	s := &Stream{t: t, skip: skipSpecial}
	var last decoder = writer{&s.out}
	if t.cfg.CleanUp {
		last = &whole{next: last, f: cleanText}
	}
	s.in = newDecoder(t.cfg.Decoder, last)
	return s
}

// Next takes one more id and returns the text that has become certain.
func (s *Stream) Next(id int32) string {
	s.add(id)
	return s.take()
}

// Flush ends the text and returns what was held back.
func (s *Stream) Flush() string {
	s.in.end()
	return s.take()
}

func (s *Stream) add(id int32) {
	if a := s.t.added[id]; a != nil {
		if !a.skip || !s.skip {
			s.in.token(a.pattern)
		}
	} else if token, ok := s.t.vocab.token(id); ok {
		s.in.token(token)
	}
}

func (s *Stream) take() string {
	text := s.out.String()
	s.out.Reset()
	return text
}

// A decoder takes a text's tokens one by one and hands on what it makes of them.
type decoder interface {
	token(string)
	end()
}

// writer is the last decoder.
type writer struct{ *strings.Builder }

func (w writer) token(s string) { w.WriteString(s) }
func (w writer) end()           {}

// decoderKind is one decoder of the library, told in one place.
type decoderKind struct {
	check func(c *component) error // nil: nothing to check
	// make puts a decoder before next. fused: all tokens come as one text.
	make  func(c *component, next decoder, fused bool) decoder
	fuses bool // all tokens go on as one text
}

var decoderKinds = map[string]decoderKind{
	"Fuse":         {make: func(_ *component, next decoder, _ bool) decoder { return next }, fuses: true},
	"ByteLevel":    {make: func(_ *component, next decoder, _ bool) decoder { return &byteLevel{next: next} }, fuses: true},
	"ByteFallback": {make: func(_ *component, next decoder, _ bool) decoder { return &byteFallback{next: next} }},
	"Replace": {
		check: func(c *component) error {
			if c.Pattern == nil || c.Pattern.String == nil || *c.Pattern.String == "" {
				return unsupported("decoder Replace: pattern must be a string")
			}
			return nil
		},
		make: func(c *component, next decoder, _ bool) decoder {
			return &mapper{next: next, f: func(_ int, t string) string { return strings.ReplaceAll(t, *c.Pattern.String, c.Content) }}
		},
	},
	"Strip": {
		check: func(c *component) error {
			if utf8.RuneCountInString(c.Content) != 1 || c.Start < 0 {
				return bad("decoder Strip: content must be one character and start positive")
			}
			if c.Stop < 0 {
				return bad("decoder Strip: stop %d must be positive", c.Stop)
			}
			return nil
		},
		make: func(c *component, next decoder, fused bool) decoder {
			if c.Stop > 0 { // behind what joins the tokens too it gets each whole
				return &mapper{next: next, f: func(_ int, t string) string { return strip(t, c.Content, c.Start, c.Stop) }}
			}
			return &stripper{next: next, c: c.Content, n: c.Start, fused: fused}
		},
	},
	"Metaspace": {
		check: func(c *component) error {
			if err := c.checkMetaspace(); err != nil {
				return fmt.Errorf("decoder: %w", err)
			}
			return nil
		},
		make: func(c *component, next decoder, _ bool) decoder {
			drop := c.PrependScheme != "never"
			return &mapper{next: next, f: func(i int, t string) string {
				if i == 0 && drop {
					return strings.ReplaceAll(t, c.Replacement, "")
				}
				return strings.ReplaceAll(t, c.Replacement, " ")
			}}
		},
	},
	"WordPiece": {make: func(c *component, next decoder, _ bool) decoder {
		return &mapper{next: next, f: func(i int, t string) string {
			if more, ok := strings.CutPrefix(t, c.Prefix); i > 0 && ok {
				t = more
			} else if i > 0 {
				t = " " + t
			}
			if c.Cleanup {
				t = cleanup(t)
			}
			return t
		}}
	}},
	"BPEDecoder": {make: func(c *component, next decoder, _ bool) decoder { return &suffixer{next: next, suffix: c.Suffix} }},
	"CTC":        {make: func(c *component, next decoder, _ bool) decoder { return &ctc{next: next, c: c} }},
}

// newDecoder returns the decoder that c describes, with next behind it.
// checkDecoder has seen c.
func newDecoder(c *component, next decoder) decoder {
	if c == nil {
		return &joiner{next: next}
	}
	steps := c.steps()
	joined := slices.IndexFunc(steps, func(s *component) bool { return decoderKinds[s.Type].fuses })
	for i, s := range slices.Backward(steps) {
		fused := joined >= 0 && i > joined // its only token is the whole text
		next = decoderKinds[s.Type].make(s, next, fused)
		if fused && s.Type != "Fuse" && (s.Type != "Strip" || s.Stop > 0) {
			next = &whole{next: next, f: func(text string) string { return text }}
		}
	}
	return next
}

// strip takes content off both ends of a token, so often at most.
func strip(t, content string, start, stop int) string {
	for ; start > 0 && strings.HasPrefix(t, content); start-- {
		t = t[len(content):]
	}
	for ; stop > 0 && strings.HasSuffix(t, content); stop-- {
		t = t[:len(t)-len(content)]
	}
	return t
}

// checkDecoder refuses what newDecoder does not know.
func checkDecoder(c *component) error {
	growth := 1
	for _, s := range c.steps() {
		kind, ok := decoderKinds[s.Type]
		if !ok {
			return unsupported("decoder %q", s.Type)
		}
		if kind.check != nil {
			if err := kind.check(s); err != nil {
				return err
			}
		}
		if growth *= max(min(len(s.Content), maxGrowth+1), 1); growth > maxGrowth {
			return unsupported("a decoder that makes a text more than %d times as long", maxGrowth)
		}
	}
	return nil
}

// joiner stands for no decoder at all: tokens with a space between.
type joiner struct {
	next decoder
	some bool
}

func (d *joiner) token(s string) {
	if d.some {
		d.next.token(" ")
	}
	d.some = true
	d.next.token(s)
}
func (d *joiner) end() { d.next.end() }

// mapper changes each token alone; i counts them.
type mapper struct {
	next decoder
	i    int
	f    func(i int, token string) string
}

func (d *mapper) token(s string) {
	s = d.f(d.i, s)
	d.i++
	d.next.token(s)
}
func (d *mapper) end() { d.next.end() }

// stripper cuts up to n times c off the start of each token, or of the text.
type stripper struct {
	next  decoder
	c     string
	n     int
	fused bool
}

func (d *stripper) token(s string) {
	left := d.n
	for left > 0 && strings.HasPrefix(s, d.c) {
		s = s[len(d.c):]
		left--
	}
	if d.fused {
		if d.n = left; s != "" {
			d.n = 0
		}
	}
	d.next.token(s)
}
func (d *stripper) end() { d.next.end() }

// byteFallback joins runs of tokens <0x00> to <0xFF>. A run that is not UTF-8
// becomes as many U+FFFD as it has bytes, even where part of it is sound, so
// nothing of a run can go out before it ends.
type byteFallback struct {
	next decoder
	run  []byte
}

func (d *byteFallback) token(s string) {
	if b, ok := parseByteToken(s); ok {
		d.run = append(d.run, b)
		return
	}
	d.endRun()
	d.next.token(s)
}

func (d *byteFallback) end() {
	d.endRun()
	d.next.end()
}

func (d *byteFallback) endRun() {
	if utf8.Valid(d.run) {
		if len(d.run) > 0 {
			d.next.token(string(d.run))
		}
	} else {
		for range d.run {
			d.next.token("\uFFFD")
		}
	}
	d.run = d.run[:0]
}

func byteToken(b byte) string { return fmt.Sprintf("<0x%02X>", b) }

func parseByteToken(s string) (byte, bool) {
	if len(s) != 6 || s[:3] != "<0x" || s[5] != '>' {
		return 0, false
	}
	b, err := strconv.ParseUint(s[3:5], 16, 8)
	return byte(b), err == nil
}

// byteLevel undoes the byte alphabet; a token with any other character in it
// stands for itself. The bytes of all tokens together are read as UTF-8.
type byteLevel struct {
	next decoder
	held []byte // start of a character
}

func (d *byteLevel) token(s string) {
	n := len(d.held)
	for _, r := range s {
		b, ok := alphabetByte(r)
		if !ok {
			d.held = append(d.held[:n], s...)
			break
		}
		d.held = append(d.held, b)
	}
	text, rest := lossy(d.held, false)
	d.next.token(text)
	d.held = append(d.held[:0], rest...)
}

func (d *byteLevel) end() {
	text, _ := lossy(d.held, true)
	d.next.token(text)
	d.held = d.held[:0]
	d.next.end()
}

// lossy reads b as UTF-8. Each sequence that starts well and breaks off, and
// each byte that cannot start one, becomes one U+FFFD. Unless b is the end of
// a text, a sequence that b cuts short is left over.
func lossy(b []byte, end bool) (text string, rest []byte) {
	if utf8.Valid(b) {
		return string(b), nil
	}
	out := make([]byte, 0, len(b)+8)
	for len(b) > 0 && (end || utf8.FullRune(b)) {
		r, n := utf8.DecodeRune(b)
		if r == utf8.RuneError && n == 1 {
			for k := min(3, len(b)); k > 1; k-- {
				if !utf8.FullRune(b[:k]) {
					n = k
					break
				}
			}
		}
		out = utf8.AppendRune(out, r)
		b = b[n:]
	}
	return string(out), b
}

func validUTF8(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	s, _ = lossy([]byte(s), true)
	return s
}
