package runtime

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"slices"

	"qpt/internal/cpu"
	"qpt/kernels/linear"
	"qpt/runtime/exec"
)

// tuningVersion counts changes of kernels that make old measurements worthless.
const tuningVersion = 2

// tunings is the file of measurements on one machine.
type tunings struct {
	Version int              `json:"version"`
	Machine string           `json:"machine"`
	Shapes  []*linear.Tuning `json:"shapes"`
}

// TuningPath is the file in folder dir that belongs to this machine: a home may be shared by several.
func TuningPath(dir string) string {
	h := fnv.New64a()
	fmt.Fprint(h, tuningVersion, cpu.Describe())
	return filepath.Join(dir, fmt.Sprintf("tuning-%016x.json", h.Sum64()))
}

// loadTunings reads a file; one that is missing, or of another machine or
// version, or damaged, counts as empty: it is only a cache.
func loadTunings(path string) *tunings {
	t := &tunings{}
	data, err := os.ReadFile(path)
	if err != nil || json.Unmarshal(data, t) != nil || t.Version != tuningVersion || t.Machine != cpu.Describe() {
		t = &tunings{}
	}
	t.Version, t.Machine = tuningVersion, cpu.Describe()
	t.Shapes = slices.DeleteFunc(t.Shapes, func(t *linear.Tuning) bool { return t == nil })
	return t
}

// save replaces the file as a whole.
func (t *tunings) save(path string) error {
	data, err := json.Marshal(t)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), "tuning-*.tmp")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// tune gives the layers their measured kernels, and measures the shapes that
// the file does not know, or all.
func (m *Model) tune(path string, again bool) error {
	var t *tunings
	changed := false
	for _, l := range m.layers {
		if l.Form != linear.A8 && l.Form != linear.A16 {
			continue
		}
		if t == nil {
			t = loadTunings(path)
			if again {
				t.Shapes = nil
			}
		}
		found := find(t.Shapes, l.Layer)
		if found == nil {
			if found = linear.NewTuning(l.Weight, l.Form); found == nil {
				continue
			}
			t.Shapes = append(slices.DeleteFunc(t.Shapes, func(t *linear.Tuning) bool { return t.Shape(l.Weight, l.Form) }), found)
			changed = true
		}
		l.Weight.Tune(l.Form, found)
		if find(m.tuned, l.Layer) == nil {
			m.tuned = append(m.tuned, found)
		}
	}
	if !changed {
		return nil
	}
	return t.save(path)
}

// find returns the measurement of a layer's shape, nil if there is none.
func find(list []*linear.Tuning, l exec.Layer) *linear.Tuning {
	for _, t := range list {
		if t.Fits(l.Weight, l.Form) {
			return t
		}
	}
	return nil
}

// Kernel names the kernel that multiplies m rows by a parameter's matrix, "" if none does.
func (m *Model) Kernel(param string, rows int) string {
	for _, l := range m.layers {
		if l.name == param {
			return l.Weight.Chosen(l.Form, rows)
		}
	}
	return ""
}
