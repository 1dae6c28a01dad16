package sockserver

// For the tests of what imports this package.
var (
	ShortDir     = shortDir
	OpenDatabase = openDatabase
	MakeDatabase = makeDatabase
)
