"""What a release is made of beside the program: charts' made files, packages, image, SBOM, licences. `python -m release --help`."""
