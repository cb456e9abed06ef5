from epaas_models.cli import main

if __name__ == "__main__":
    main()
