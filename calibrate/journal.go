package calibrate

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"

	"qpt/internal/num"
	"qpt/kernels/linear"
)

// A journal keeps the finished sites on disk, in order: memory holds one of
// them, and an interrupted Run goes on behind the last. After magic and key there is a record a
// site: u32 bytes of header, u32 CRC-32C of header and body, u64 bytes of body; the header, JSON of
// a record; the body, its scales and the parts of its weights. A record cut short or damaged ends the journal.
type journal struct {
	f    *os.File
	keep bool // when it is closed
	end  int64
	at   map[string]int64 // weight -> place of its data
}

// ErrJournal is matched by the error about a file that is no journal.
var ErrJournal = errors.New("no calibration work file")

const journalMagic = "qpt calibration\n"

type record struct {
	Site    string
	Scales  int // channels, 0: none
	Dead    int // channels that are always 0
	Rows    int // of the text
	Weights []recordWeight
	Notes   []string
	scales  []float32
	weights []*linear.Weight
}

type recordWeight struct {
	Name        string
	Format      linear.Format
	N, K, Group int
	Bias        []float32 `json:",omitempty"` // what is added to it
	Wild        []int32   `json:",omitempty"`
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// openJournal opens the journal at path for reading and appending, or makes
// it; one with another key is begun anew. Without a path it is temporary.
func openJournal(path, dir string, key [32]byte) (*journal, error) {
	j := &journal{at: map[string]int64{}}
	var err error
	if path == "" {
		if j.f, err = temporary(dir); err != nil {
			return nil, err
		}
		return j, nil
	}
	j.keep = true
	if j.f, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644); err != nil {
		return nil, err
	}
	head := append([]byte(journalMagic), key[:]...)
	got := make([]byte, len(head))
	n, err := io.ReadFull(j.f, got)
	switch {
	case err == nil && string(got[:len(journalMagic)]) == journalMagic:
		if string(got) == string(head) {
			j.end = int64(len(head))
			return j, nil
		}
	case n > 0:
		j.f.Close()
		return nil, fmt.Errorf("%w: %s: remove it or name another", ErrJournal, path)
	case err != io.EOF:
		j.f.Close()
		return nil, err
	}
	if err = j.f.Truncate(0); err == nil {
		_, err = j.f.WriteAt(head, 0)
	}
	if err != nil {
		j.f.Close()
		return nil, err
	}
	j.end = int64(len(head))
	return j, nil
}

// next reads the record at the end of what was read; nil when there is none, or not of this site.
func (j *journal) next(site string) *record {
	var head [16]byte
	if _, err := j.f.ReadAt(head[:], j.end); err != nil {
		return nil
	}
	st, err := j.f.Stat()
	h, b := int64(binary.LittleEndian.Uint32(head[:])), int64(binary.LittleEndian.Uint64(head[8:]))
	if err != nil || b < 0 || b > st.Size() || j.end+16+h+b > st.Size() {
		return nil
	}
	data := make([]byte, h+b)
	if _, err := j.f.ReadAt(data, j.end+16); err != nil || crc32.Checksum(data, castagnoli) != binary.LittleEndian.Uint32(head[4:]) {
		return nil
	}
	r := new(record)
	if json.Unmarshal(data[:h], r) != nil || r.Site != site {
		return nil
	}
	body := data[h:]
	take := func(dst []byte) { body = body[copy(dst, body):] }
	if r.Scales > 0 {
		r.scales = make([]float32, r.Scales)
	}
	take(num.BytesOf(r.scales))
	for _, v := range r.Weights {
		w := linear.NewWeight(v.Format, v.N, v.K, v.Group)
		j.at[v.Name] = j.end + 16 + h + b - int64(len(body))
		take(w.Data)
		take(w.Groups)
		take(num.BytesOf(w.Scale))
		take(num.BytesOf(w.Sum))
		w.AddWild(v.Wild)
		take(num.BytesOf(w.WildData))
		r.weights = append(r.weights, w)
	}
	j.end += 16 + h + b
	return r
}

// add writes a record behind those that were read.
func (j *journal) add(r *record) error {
	r.Scales = len(r.scales)
	header, err := json.Marshal(r)
	if err != nil {
		return err
	}
	data := append(make([]byte, 16), header...)
	data = append(data, num.BytesOf(r.scales)...)
	for i, w := range r.weights {
		j.at[r.Weights[i].Name] = j.end + int64(len(data))
		data = append(data, w.Data...)
		data = append(data, w.Groups...)
		data = append(data, num.BytesOf(w.Scale)...)
		data = append(data, num.BytesOf(w.Sum)...)
		data = append(data, num.BytesOf(w.WildData)...)
	}
	binary.LittleEndian.PutUint32(data, uint32(len(header)))
	binary.LittleEndian.PutUint32(data[4:], crc32.Checksum(data[16:], castagnoli))
	binary.LittleEndian.PutUint64(data[8:], uint64(len(data)-16-len(header)))
	if err := j.f.Truncate(j.end); err != nil {
		return err
	}
	_, err = j.f.WriteAt(data, j.end)
	j.end += int64(len(data))
	return err
}

// load reads the data and groups of a weight back.
func (j *journal) load(name string, w *linear.Weight) (*linear.Weight, error) {
	full := linear.NewWeight(w.Format, w.N, w.K, w.Group)
	full.Scale, full.Sum, full.Wild, full.WildData = w.Scale, w.Sum, w.Wild, w.WildData
	at := j.at[name]
	if _, err := j.f.ReadAt(full.Data, at); err != nil {
		return nil, err
	}
	if _, err := j.f.ReadAt(full.Groups, at+int64(len(full.Data))); err != nil {
		return nil, err
	}
	return full, nil
}

func (j *journal) close() error {
	if j.keep {
		return j.f.Close()
	}
	return discard(j.f)
}
