package sockserver

import "hotswap/internal/lognote"

// The file systems whose files end with a container, or with the machine.
const (
	fsOverlay = "overlayfs"
	fsTmpfs   = "tmpfs"
	fsRamfs   = "ramfs"
)

// storageWarning warns of a database on a file system that does not last; "" if
// it lasts, as far as one can tell.
func storageWarning(fileSystem string) string {
	switch fileSystem {
	case fsOverlay:
		return "it is on overlayfs, which is usually a container's own layer: it is lost when the container is replaced; keep it on a volume"
	case fsTmpfs, fsRamfs:
		return "it is on " + fileSystem + ", in memory: it is lost when the container or the machine stops; keep it on a disk"
	default:
		return ""
	}
}

// warnings are what an operator should know of the database at path.
func warnings(path string) []string {
	list := []string{}
	if w := storageWarning(fileSystemOf(path)); w != "" {
		list = append(list, w)
	}
	return list
}

// meet does what is due once for a database, the first time that the server
// meets it: at its start for those that are open by then.
func (a *api) meet(paths ...string) {
	for _, path := range a.removeOrphans(paths) {
		for _, text := range warnings(path) {
			lognote.Send(a.cfg.Logger.Warn().Str(fieldPath, path), "the database may not last: "+text)
		}
	}
}
