package tokenizer

import (
	"bytes"
	"encoding/binary"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rivo/uniseg"
)

// charsmap is a table of replacements as SentencePiece compiles it: the bytes
// of a double array (darts-clone) with their number before, then texts that
// each end with a zero byte, to whose starts the array leads.
type charsmap struct {
	array []uint32
	texts string
	ascii [utf8.RuneSelf]string // what becomes of each character alone
}

func precompiledNormalizer(c *component) (normalizer, error) {
	m, err := newCharsmap(c.Charsmap)
	if err != nil {
		return nil, err
	}
	return pure(m.normalize), nil
}

func newCharsmap(data []byte) (*charsmap, error) {
	n := uint64(0)
	if len(data) >= 4 {
		n = uint64(binary.LittleEndian.Uint32(data))
	}
	if n < 4 || n%4 != 0 || n > uint64(len(data)-4) || !utf8.Valid(data[4+n:]) {
		return nil, bad("precompiled_charsmap: %d bytes with an array of %d, and UTF-8 behind it", len(data), n)
	}
	m := &charsmap{array: make([]uint32, n/4), texts: string(data[4+n:])}
	for i := range m.array {
		m.array[i] = binary.LittleEndian.Uint32(data[4+4*i:])
	}
	for c := range m.ascii {
		one := string(rune(c))
		m.ascii[c] = one
		if text, ok := m.find(one); ok {
			m.ascii[c] = text
		}
	}
	return m, nil
}

// precompiledGrowth is the longest text, of at least one byte.
func precompiledGrowth(c *component) int {
	longest := 1
	if n := 4 + int64(binary.LittleEndian.Uint32(c.Charsmap)); n <= int64(len(c.Charsmap)) {
		for text := range bytes.SplitSeq(c.Charsmap[n:], []byte{0}) {
			longest = max(longest, len(text))
		}
	}
	return longest
}

// find returns the text of the shortest entry that s starts with.
func (m *charsmap) find(s string) (string, bool) {
	at, ok := m.child(0)
	for i := 0; ok && i < len(s) && s[i] != 0; i++ {
		at ^= uint32(s[i])
		if at >= uint32(len(m.array)) || m.array[at]&(1<<31|0xff) != uint32(s[i]) {
			return "", false
		}
		leaf := m.array[at]>>8&1 == 1
		if at, ok = m.child(at); ok && leaf {
			return m.text(m.array[at] &^ (1 << 31))
		}
	}
	return "", false
}

// child is where the children of a unit begin.
func (m *charsmap) child(at uint32) (uint32, bool) {
	unit := m.array[at]
	at ^= unit >> 10 << (unit & (1 << 9) >> 6)
	return at, at < uint32(len(m.array))
}

func (m *charsmap) text(at uint32) (string, bool) {
	if uint64(at) >= uint64(len(m.texts)) || !utf8.RuneStart(m.texts[at]) {
		return "", false
	}
	text, _, _ := strings.Cut(m.texts[at:], "\x00")
	return text, true
}

// normalize replaces grapheme clusters of up to 5 bytes by what any start of
// them becomes, the rest character by character: SentencePiece's odd way, on
// which models were trained.
func (m *charsmap) normalize(s string) string {
	var b strings.Builder
	b.Grow(len(s) + len(s)/8)
	for s != "" {
		n := cluster(s)
		if n == 1 && s[0] < utf8.RuneSelf {
			b.WriteString(m.ascii[s[0]])
			s = s[1:]
			continue
		}
		text, ok := "", false
		if n < 6 {
			text, ok = m.find(s[:n])
		}
		if b.WriteString(text); !ok {
			for i, r := range s[:n] {
				c := s[i : i+utf8.RuneLen(r)]
				if text, ok := m.find(c); ok {
					c = text
				}
				b.WriteString(c)
			}
		}
		s = s[n:]
	}
	return b.String()
}

// cluster is the length of the grapheme cluster that s starts with.
func cluster(s string) int {
	r, n := utf8.DecodeRuneInString(s)
	if n == len(s) {
		return n
	}
	if next, _ := utf8.DecodeRuneInString(s[n:]); single(r) && single(next) {
		return n
	}
	first, _, _, _ := uniseg.FirstGraphemeClusterInString(s, -1)
	n = len(first)
	last, _ := utf8.DecodeLastRuneInString(first)
	joins := joinsSet()
	if unicode.In(last, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) && !joins(last) && !unicode.Is(unicode.Prepended_Concatenation_Mark, last) {
		return n
	}
	for n < len(s) { // a mark that uniseg is too old to know, and any behind it
		r, size := utf8.DecodeRuneInString(s[n:])
		if !joins(r) {
			break
		}
		n += size
	}
	return n
}

// single reports whether r joins with none that is single too, for sure.
func single(r rune) bool {
	return r < 0x300 && r != '\r' || 0x370 <= r && r < 0x483 || 0x48a <= r && r < 0x530 || 0x3041 <= r && r < 0x3097 ||
		0x30a0 <= r && r < 0x3100 || 0x4e00 <= r && r < 0xa000 || 0xac00 <= r && r < 0xd7a4 || 0x2010 <= r && r < 0x2028
}
